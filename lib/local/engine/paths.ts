import { compile, type JSONValue, jsonpath } from 'json-p3';
import { StatesRuntime, TaskError, toError } from './errors.ts';

/** What paths start from: $ is the input, $$ is the context. */
export interface Data {
  readonly input: unknown;
  readonly context: Readonly<Record<string, unknown>>;
}

/** Finds or computes a value. Undefined: the path finds no value. */
export type Expression = (data: Data) => unknown;

const CONTEXT_FIELDS =
  /^\$\$\.(Execution\.(Id|Input|Name|RedriveCount|RoleArn|StartTime)|StateMachine\.(Id|Name)|State\.(EnteredTime|Name|RetryCount)|Map\.Item\.(Index|Value))\b/;

/**
 * Compiles a path. A path that can find several values, such as one with `[*]` or a filter, gives a list, also an empty one.
 * @throws Error for a path that the engine does not support. Its message continues a sentence that begins with the state
 */
export function parsePath(path: string): Expression {
  const isContext = path.startsWith('$$');
  if (isContext && !CONTEXT_FIELDS.test(path)) {
    throw new Error(`uses ${path}, a field of the context that the local engine does not support.`);
  }
  const query = compiled(path, isContext ? path.slice(1) : path);
  const isSingle = query.singularQuery();
  return ({ input, context }) => {
    const found = query.query((isContext ? context : input) as JSONValue).values();
    return isSingle ? found[0] : found;
  };
}

function compiled(path: string, jsonPath: string): ReturnType<typeof compile> {
  try {
    return compile(jsonPath);
  } catch (error) {
    throw new Error(
      `has the path ${path}, which the local engine does not support: ${toError(error).message}.`,
    );
  }
}

/** Compiles a path whose expression throws StatesRuntime when it finds no value. @throws Error as parsePath does */
export function requiredPath(path: string): Expression {
  const find = parsePath(path);
  return (data) => {
    const value = find(data);
    if (value !== undefined) return value;
    throw new StatesRuntime(`The path '${path}' does not lead to a value in the input.`);
  };
}

/** @throws StatesRuntime when the path finds no value */
export function valueAt(path: string, data: Data): unknown {
  return requiredPath(path)(data);
}

/** The integer at a path. @throws StatesRuntime when the path finds anything else */
export function integerAt(path: string, data: Data, least: number): number {
  const value = valueAt(path, data);
  if (typeof value === 'number' && Number.isInteger(value) && value >= least) return value;
  throw new StatesRuntime(
    `The path '${path}' leads to ${JSON.stringify(value)}; it must lead to an integer of ${least} or more.`,
  );
}

/** InputPath and OutputPath: null gives an empty object. */
export function throughPath(path: string | null | undefined, data: Data): unknown {
  if (path === undefined) return data.input;
  return path === null ? {} : valueAt(path, data);
}

/**
 * ResultPath: a copy of the input with the result at the path. Null drops the result.
 * @throws TaskError States.ResultPathMatchFailure when the input has no place for it
 */
export function placeResult(path: string | null = '$', input: unknown, result: unknown): unknown {
  if (path === null) return input;
  const selectors = compile(path).segments.map((segment) => segment.selectors[0]);
  const place = (target: unknown, depth: number): unknown => {
    const selector = selectors[depth];
    if (selector === undefined) return result;
    if (selector instanceof jsonpath.selectors.IndexSelector && Array.isArray(target)) {
      const { index } = selector;
      if (index >= 0 && index < target.length) return target.with(index, place(target[index], depth + 1));
    }
    if (selector instanceof jsonpath.selectors.NameSelector && isObject(target)) {
      const { name } = selector;
      // A field that does not exist yet becomes an object when the path continues.
      const field = Object.hasOwn(target, name) ? target[name] : {};
      return { ...target, [name]: place(field, depth + 1) };
    }
    throw new TaskError(
      'States.ResultPathMatchFailure',
      `The ResultPath '${path}' does not fit the input: ${JSON.stringify(target)} has no such field or item.`,
    );
  };
  return place(input, 0);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
