import { ExecutionError, type RunOptions, StateMachine } from 'aws-local-stepfunctions';
import { StatesRuntime } from './errors.ts';
import { callIntrinsic } from './intrinsics.ts';

export type Json = Parameters<StateMachine['run']>[0];
export type Context = NonNullable<RunOptions['context']>;

/** Paths that may lead to any number of values: their value is always a list. */
const INDEFINITE = /\[\*\]|\.\*|\.\.|\[\?|\[[^\]'"]*[,:][^\]'"]*\]/;

/**
 * Fills in a template, such as Parameters or ResultSelector: fields whose names end in .$ hold a path or a call of an
 * intrinsic function.
 * @throws StatesRuntime for a path that leads nowhere; TaskError States.IntrinsicFailure
 */
export async function fillTemplate(template: unknown, input: unknown, context: Context): Promise<unknown> {
  if (Array.isArray(template)) {
    return Promise.all(template.map((entry) => fillTemplate(entry, input, context)));
  }
  if (typeof template !== 'object' || template === null) return template;
  const query = (path: string) => queryPath(path, input, context);
  const entries = Object.entries(template).map(async ([key, value]: [string, unknown]) => {
    if (!key.endsWith('.$') || typeof value !== 'string') {
      return [key, await fillTemplate(value, input, context)] as const;
    }
    const filled = value.startsWith('$') ? query(value) : callIntrinsic(value, query);
    return [key.slice(0, -2), await filled] as const;
  });
  return Object.fromEntries(await Promise.all(entries));
}

/**
 * The value that a path leads to, as the library finds it.
 * @throws StatesRuntime when it leads nowhere
 */
export async function queryPath(path: string, input: unknown, context: Context): Promise<unknown> {
  if (path === '$') return input;
  const definition = { StartAt: 'Query', States: { Query: { Type: 'Pass', InputPath: path, End: true } } };
  const machine = new StateMachine(definition as never, { validationOptions: { noValidate: true } });
  try {
    return structuredClone(await machine.run(input as Json, { context }).result);
  } catch (error) {
    const { name = '', message = '' } = (
      error instanceof ExecutionError ? error.cause : error
    ) as Partial<Error>;
    if (name !== 'States.Runtime') throw error;
    // Nothing found is a failure to the library, and an empty list to AWS.
    if (INDEFINITE.test(path)) return [];
    throw new StatesRuntime(message);
  }
}
