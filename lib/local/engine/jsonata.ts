import jsonata from 'jsonata';
import { TaskError, toError } from './errors.ts';

/** What the expressions of a state read as `$states`. */
export interface StatesVariable {
  readonly input: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  /** In Output of a state: the response. */
  readonly result?: unknown;
  /** In Output of a Catch. */
  readonly errorOutput?: { readonly Error: string; readonly Cause: string };
}

/** A text that is one expression. Any other text stands for itself. */
const EXPRESSION = /^\{%(.*)%\}$/s;

/** Parses an expression. @throws Error whose message continues a sentence that begins with the state */
export function parseJsonata(written: string): void {
  try {
    compile(written);
  } catch (error) {
    throw new Error(`has the expression ${written}, which is not valid: ${toError(error).message}.`);
  }
}

/** The expressions in a template such as Arguments or Output. */
export function jsonataIn(template: unknown): string[] {
  if (typeof template === 'string') return EXPRESSION.test(template) ? [template] : [];
  if (typeof template !== 'object' || template === null) return [];
  return Object.values(template).flatMap(jsonataIn);
}

/**
 * Fills in a template such as Arguments or Output.
 * @throws TaskError States.QueryEvaluationError for an expression that fails, or that has no value
 */
export async function fillJsonata(template: unknown, states: StatesVariable): Promise<unknown> {
  if (typeof template === 'string' && EXPRESSION.test(template)) return await evaluate(template, states);
  if (Array.isArray(template)) {
    return await Promise.all(template.map(async (entry) => await fillJsonata(entry, states)));
  }
  if (typeof template !== 'object' || template === null) return template;
  const fields = Object.entries(template).map(
    async ([key, value]: [string, unknown]) => [key, await fillJsonata(value, states)] as const,
  );
  return Object.fromEntries(await Promise.all(fields));
}

async function evaluate(written: string, states: StatesVariable): Promise<unknown> {
  let value: unknown;
  try {
    // Step Functions evaluates without a context item: `$` and a path without a variable have no value.
    value = await compile(written).evaluate(undefined, { states });
  } catch (error) {
    throw failure(written, toError(error).message);
  }
  if (value === undefined || typeof value === 'function') throw failure(written, 'it has no value');
  // A list of the library has further properties.
  return JSON.parse(JSON.stringify(value));
}

function compile(written: string): jsonata.Expression {
  const source = EXPRESSION.exec(written)?.[1] ?? written;
  if (/\$eval\b/.test(source)) throw new Error('Step Functions does not support $eval');
  return jsonata(source);
}

function failure(written: string, reason: string): TaskError {
  return new TaskError(
    'States.QueryEvaluationError',
    `The JSONata expression '${written}' failed: ${reason}`,
  );
}
