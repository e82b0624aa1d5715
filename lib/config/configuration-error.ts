import { z } from 'zod';
import { LinesError } from '../../lambdas/shared/errors.ts';

/** A configuration that cannot be used. Each problem names the path of the wrong value. */
export class ConfigurationError extends LinesError {
  override readonly name = 'ConfigurationError';
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

/**
 * Checks a context of cdk.json, or the properties of a construct.
 * @param context name of the context, the first part of every path. Empty: paths begin with the property
 * @param introduction first line of the message
 * @throws ConfigurationError with the path of every wrong value and what is valid there
 */
export function parseContext<Schema extends z.ZodType>(
  context: string,
  schema: Schema,
  raw: unknown,
  introduction = 'The context in cdk.json is not valid:',
): z.output<Schema> {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `  ${describeIssue(context, issue)}`);
  throw new ConfigurationError([introduction, ...problems]);
}

function describeIssue(context: string, issue: z.core.$ZodIssue): string {
  const path = [context, ...issue.path].filter((part) => part !== '').join('.');
  if (issue.code === 'invalid_value') return `${path}: must be one of ${issue.values.join(', ')}`;
  if (issue.code === 'invalid_key')
    return `${path}: the name ${issue.issues.map((inner) => inner.message).join(', ')}`;
  return `${path}: ${issue.message}`;
}
