import type { ChoiceRule, State } from './definition.ts';
import { StatesRuntime, TaskError } from './errors.ts';
import { type Data, parsePath, valueAt } from './paths.ts';

/** The types that operators begin with: what is compared of a value. Undefined: the value has another type. */
const TYPES: Readonly<Record<string, (value: unknown) => string | number | boolean | undefined>> = {
  String: (value) => (typeof value === 'string' ? value : undefined),
  Numeric: (value) => (typeof value === 'number' ? value : undefined),
  Boolean: (value) => (typeof value === 'boolean' ? value : undefined),
  Timestamp: timestamp,
};

/** The orders of the value and the operand that a comparison accepts: -1 for less, 0 for equal, 1 for greater. */
const ACCEPTED: Readonly<Record<string, readonly number[]>> = {
  Equals: [0],
  LessThan: [-1],
  LessThanEquals: [-1, 0],
  GreaterThan: [1],
  GreaterThanEquals: [0, 1],
};

/** The state that a Choice state leads to. @throws TaskError States.NoChoiceMatched */
export function choose({ Choices, Default }: State, data: Data): string {
  const next = Choices.find((rule) => holds(rule, data))?.Next ?? Default;
  if (next !== undefined) return next;
  throw new TaskError(
    'States.NoChoiceMatched',
    'No rule of the Choice state matches, and it has no Default.',
  );
}

function holds(rule: ChoiceRule, data: Data): boolean {
  const { And, Or, Not, Variable = '$', Next: _next, Comment: _comment, ...operators } = rule;
  if (And !== undefined) return And.every((inner) => holds(inner, data));
  if (Or !== undefined) return Or.some((inner) => holds(inner, data));
  if (Not !== undefined) return !holds(Not, data);
  const [[operator, operand] = ['', undefined]] = Object.entries(operators);
  if (operator === 'IsPresent') return (parsePath(Variable)(data) !== undefined) === operand;
  const value = valueAt(Variable, data);
  if (operator === 'IsNull') return (value === null) === operand;

  const [, is, type = '', comparison = '', path] =
    /^(Is)?(String|Numeric|Boolean|Timestamp)(.*?)(Path)?$/.exec(operator) ?? [];
  const left = TYPES[type]?.(value);
  if (is !== undefined) return (left !== undefined) === operand;
  const right = TYPES[type]?.(path === undefined ? operand : valueAt(String(operand), data));
  if (right === undefined) {
    throw new StatesRuntime(`${operator}: '${String(operand)}' is not a value of the type ${type}.`);
  }
  if (left === undefined) return false;
  if (comparison === 'Matches') return wildcard(String(right)).test(String(left));
  return ACCEPTED[comparison]?.includes(left < right ? -1 : left > right ? 1 : 0) === true;
}

const RFC3339 = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/;

/** Milliseconds since 1970. Undefined: the value is not a timestamp as in RFC 3339. */
export function timestamp(value: unknown): number | undefined {
  const milliseconds = typeof value === 'string' && RFC3339.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(milliseconds) ? undefined : milliseconds;
}

/** `*` stands for any characters; \* and \\ stand for themselves. */
function wildcard(pattern: string): RegExp {
  const source = pattern.replace(/\\[*\\]|./gs, (token) => {
    if (token === '*') return '.*';
    return token.length === 2 ? token : token.replace(/[\\^$.+?()[\]{}|]/, '\\$&');
  });
  return new RegExp(`^${source}$`, 's');
}
