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
 * Checks a context of cdk.json.
 * @param context name of the context, the first part of every path
 * @throws ConfigurationError with the path of every wrong value and what is valid there
 */
export function parseContext<Schema extends z.ZodType>(
  context: string,
  schema: Schema,
  raw: unknown,
): z.output<Schema> {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => `  ${describeIssue(context, issue)}`);
  throw new ConfigurationError(['The context in cdk.json is not valid:', ...problems]);
}

function describeIssue(context: string, issue: z.core.$ZodIssue): string {
  const path = [context, ...issue.path].join('.');
  if (issue.code === 'invalid_value') return `${path}: must be one of ${issue.values.join(', ')}`;
  if (issue.code === 'invalid_key')
    return `${path}: the name ${issue.issues.map((inner) => inner.message).join(', ')}`;
  return `${path}: ${issue.message}`;
}
