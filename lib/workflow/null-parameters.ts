import { JsonNull } from 'aws-cdk-lib';

/**
 * A null in a state's parameters. The CDK removes a plain `null` from the definition, and a path that reads the missing
 * field fails the execution with States.Runtime, which no Catch handles.
 */
export const NULL = JsonNull.INSTANCE;

/** @returns the value with `NULL` in place of each null, at every depth */
export function withNulls(value: unknown): unknown {
  if (value === null) return NULL;
  if (Array.isArray(value)) return value.map(withNulls);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withNulls(inner)]));
}
