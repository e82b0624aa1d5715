import { z } from 'zod';
import { LinesError } from '../../lambdas/shared/errors.ts';
import { hideOwnFrames } from '../files/own-frames.ts';

/** A configuration that cannot be used. Each problem names the path of the wrong value. */
export class ConfigurationError extends LinesError {
  override readonly name = 'ConfigurationError';

  constructor(lines: string | readonly string[], options?: { cause?: unknown }) {
    super(lines, options);
    hideOwnFrames(this);
  }
}

/** An object that accepts no other fields. The message for an unknown field lists the valid ones. */
export function fields<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape, {
    error: (issue) =>
      issue.code === 'unrecognized_keys'
        ? `unknown field ${issue.keys.join(', ')}; valid fields: ${Object.keys(shape).join(', ')}`
        : undefined,
  });
}

/** What a message calls things. */
interface Wording {
  /** First line of the message. */
  readonly introduction: string;
  /** Other names of fields of the first level. */
  readonly names?: Readonly<Record<string, string>>;
}

const OF_CDK_JSON: Wording = { introduction: 'The context in cdk.json is not valid:' };

/**
 * Checks a context of cdk.json, or the properties of a construct.
 * @param context name of the context, the first part of every path. Empty: paths begin with the property
 * @throws ConfigurationError with the path of every wrong value and what is valid there
 */
export function parseContext<Schema extends z.ZodType>(
  context: string,
  schema: Schema,
  raw: unknown,
  { introduction, names = {} }: Wording = OF_CDK_JSON,
): z.output<Schema> {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `  ${describeIssue(context, renamed(issue, names))}`);
  throw new ConfigurationError([introduction, ...problems]);
}

function renamed(issue: z.core.$ZodIssue, names: Readonly<Record<string, string>>): z.core.$ZodIssue {
  const [first, ...rest] = issue.path;
  return { ...issue, path: first === undefined ? [] : [names[String(first)] ?? first, ...rest] };
}

function describeIssue(context: string, issue: z.core.$ZodIssue): string {
  const path = [context, ...issue.path].filter((part) => part !== '').join('.');
  if (issue.code === 'invalid_value') return `${path}: must be one of ${issue.values.join(', ')}`;
  if (issue.code === 'invalid_key')
    return `${path}: the name ${issue.issues.map((inner) => inner.message).join(', ')}`;
  return `${path}: ${issue.message}`;
}
