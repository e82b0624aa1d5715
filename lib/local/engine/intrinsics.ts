import { randomUUID } from 'node:crypto';

/** The intrinsic functions, by name. Each throws an Error that gives the reason. */
export const INTRINSIC_FUNCTIONS: Readonly<Record<string, (...args: unknown[]) => unknown>> = {
  'States.Format': format,
  'States.StringToJson': (value) => JSON.parse(text(value)),
  'States.JsonToString': (value) => JSON.stringify(value),
  'States.Array': (...values) => values,
  'States.ArrayContains': (values, wanted) => {
    const json = JSON.stringify(wanted);
    return array(values).some((value) => JSON.stringify(value) === json);
  },
  'States.ArrayGetItem': (values, index) => {
    const item = array(values)[number(index)];
    if (item === undefined) throw new Error(`the array has no item ${String(index)}`);
    return item;
  },
  'States.ArrayLength': (values) => array(values).length,
  'States.ArrayPartition': (values, size) => {
    const [all, length] = [array(values), number(size)];
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
    ...new Map(array(values).map((value) => [JSON.stringify(value), value])).values(),
  ],
  'States.JsonMerge': (first, second, deep) => {
    if (deep !== false) throw new Error('the third argument must be false');
    return { ...(first as object), ...(second as object) };
  },
  'States.MathAdd': (first, second) => number(first) + number(second),
  'States.StringSplit': (value, separators) => {
    const anyOf = text(separators).replace(/[\\\]^-]/g, '\\$&');
    return text(value)
      .split(new RegExp(`[${anyOf}]`))
      .filter((part) => part !== '');
  },
  'States.UUID': () => randomUUID(),
};

/** @param template text, or the parts around each {} */
function format(template: unknown, ...values: unknown[]): string {
  const [start = '', ...rest] = Array.isArray(template) ? template : text(template).split('{}');
  if (rest.length !== values.length) throw new Error(`${values.length} values for ${rest.length} {}`);
  return values.reduce<string>((filled, value, index) => {
    if (value === undefined || (typeof value === 'object' && value !== null)) {
      throw new Error(`the value for {} number ${index + 1} is not text, a number, true, false or null`);
    }
    return `${filled}${String(value)}${rest[index]}`;
  }, start);
}

function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new Error(`${JSON.stringify(value)} is not text`);
}

function number(value: unknown): number {
  if (typeof value === 'number') return value;
  throw new Error(`${JSON.stringify(value)} is not a number`);
}

function array(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw new Error(`${JSON.stringify(value)} is not an array`);
}
