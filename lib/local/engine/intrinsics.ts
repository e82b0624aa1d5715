import { randomUUID } from 'node:crypto';
import { TaskError } from './errors.ts';

/** Text as it was written between quotes: \' \{ \} and \\ are still escaped, which States.Format has to see. */
class Quoted {
  readonly raw: string;

  constructor(raw: string) {
    this.raw = raw;
  }

  get text(): string {
    return this.raw.replace(/\\(.)/g, '$1');
  }
}

type Function = (...given: unknown[]) => unknown;

/**
 * The intrinsic functions. The library has them too, but drops every backslash from the text that they make, so that
 * JSON text with a quote in it is broken.
 */
const FUNCTIONS: Readonly<Record<string, Function>> = {
  'States.Format': format,
  'States.StringToJson': (value) => JSON.parse(text(value)),
  'States.JsonToString': (value) => JSON.stringify(value),
  'States.Array': (...values) => values,
  'States.ArrayContains': (values, wanted) => {
    const sought = JSON.stringify(wanted);
    return list(values).some((value) => JSON.stringify(value) === sought);
  },
  'States.ArrayGetItem': (values, index) => {
    const item = list(values)[number(index)];
    if (item === undefined) throw new Error(`the array has no item ${String(index)}`);
    return item;
  },
  'States.ArrayLength': (values) => list(values).length,
  'States.ArrayPartition': (values, size) => {
    const [all, length] = [list(values), number(size)];
    if (length < 1) throw new Error('the size of a part must be at least 1');
    return Array.from({ length: Math.ceil(all.length / length) }, (_, part) =>
      all.slice(part * length, (part + 1) * length),
    );
  },
  'States.ArrayRange': (first, last, step) => {
    const [from, to, by] = [number(first), number(last), number(step)];
    if (by === 0) throw new Error('the step must not be 0');
    return Array.from({ length: Math.max(0, Math.floor((to - from) / by) + 1) }, (_, at) => from + at * by);
  },
  'States.ArrayUnique': (values) => [
    ...new Map(list(values).map((value) => [JSON.stringify(value), value])).values(),
  ],
  'States.JsonMerge': (first, second, deep) => {
    if (deep !== false) throw new Error('the third argument must be false');
    return { ...(first as object), ...(second as object) };
  },
  'States.MathAdd': (first, second) => number(first) + number(second),
  'States.StringSplit': (value, separators) => {
    const any = text(separators);
    return text(value)
      .split(new RegExp(`[${any.replace(/[\\\]^-]/g, '\\$&')}]`))
      .filter((part) => part !== '');
  },
  'States.UUID': () => randomUUID(),
};

export const INTRINSIC_FUNCTIONS = Object.keys(FUNCTIONS);

/**
 * Works out a call of an intrinsic function, with those inside it.
 * @param query gives the value of a path in the arguments
 * @throws TaskError States.IntrinsicFailure
 */
export async function callIntrinsic(
  expression: string,
  query: (path: string) => Promise<unknown>,
): Promise<unknown> {
  let at = 0;
  const fail = (why: string): never => {
    throw new TaskError('States.IntrinsicFailure', `${expression}: ${why}`);
  };
  const skipBlanks = () => {
    while (expression[at] === ' ') at += 1;
  };
  const take = (pattern: RegExp): string | undefined => {
    pattern.lastIndex = at;
    const found = pattern.exec(expression)?.[0];
    at += found?.length ?? 0;
    return found;
  };

  async function call(): Promise<unknown> {
    const name = take(/States\.\w+/y) ?? fail(`no function at character ${at + 1}`);
    const run = FUNCTIONS[name] ?? fail(`${name} is not known`);
    const given: unknown[] = [];
    if (take(/\s*\(\s*/y) === undefined) fail(`( is missing after ${name}`);
    while (take(/\)/y) === undefined) {
      if (given.length > 0 && take(/,\s*/y) === undefined) fail(`, or ) is missing at character ${at + 1}`);
      given.push(await argument());
      skipBlanks();
    }
    // Only the template of States.Format is read with its escapes.
    const values = given.map((value, index) =>
      value instanceof Quoted && !(index === 0 && run === format) ? value.text : value,
    );
    try {
      return run(...values);
    } catch (error) {
      return fail(error instanceof Error ? error.message : String(error));
    }
  }

  async function argument(): Promise<unknown> {
    if (expression.startsWith('States.', at)) return call();
    const quoted = take(/'(?:[^'\\]|\\.)*'/y);
    if (quoted !== undefined) return new Quoted(quoted.slice(1, -1));
    if (expression[at] === '$') return query(takePath());
    const literal = take(/[^,)\s]+/y) ?? fail(`an argument is missing at character ${at + 1}`);
    try {
      return JSON.parse(literal);
    } catch {
      return fail(`${literal} is no argument`);
    }
  }

  function takePath(): string {
    // Brackets may hold filters and names with commas, parentheses and quotes.
    return take(/\$(?:[^,()[\]\s]|\[(?:[^[\]'"]|'[^']*'|"[^"]*")*\])*/y) ?? fail('a path is missing');
  }

  const result = await call();
  if (at < expression.trimEnd().length) fail(`nothing may follow character ${at}`);
  return result;
}

function format(template: unknown, ...values: unknown[]): string {
  const written = template instanceof Quoted ? template.raw : text(template);
  let used = 0;
  const filled = written.replace(/\\(.)|\{\}/g, (found, escaped: string | undefined) => {
    if (escaped !== undefined) return template instanceof Quoted ? escaped : found;
    const value = values[used++];
    if (value === undefined || (typeof value === 'object' && value !== null)) {
      throw new Error(`the value for {} number ${used} is not text, a number, true, false or null`);
    }
    return String(value);
  });
  if (used !== values.length) throw new Error(`${values.length} values for ${used} places`);
  return filled;
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new Error(`${JSON.stringify(value)} is not text`);
}

function number(value: unknown): number {
  if (typeof value === 'number') return value;
  throw new Error(`${JSON.stringify(value)} is not a number`);
}

function list(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`${JSON.stringify(value)} is not an array`);
}
