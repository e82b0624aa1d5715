import type { z } from 'zod';
import { type Environment, environmentsSchema } from './environment-config.ts';

/** A configuration that cannot be used; each problem names the path of the wrong value. */
export class ConfigurationError extends Error {
  override readonly name = 'ConfigurationError';
}

/**
 * Checks the context `environments` of cdk.json.
 * @throws ConfigurationError naming the path of every wrong value and what it may be.
 */
export function parseEnvironments(raw: unknown): Record<string, Environment> {
  if (raw === undefined) {
    throw new ConfigurationError(
      'cdk.json has no context "environments": add one object for each environment.',
    );
  }
  const parsed = environmentsSchema.safeParse(raw);
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) => `  ${describeIssue(issue)}`);
    throw new ConfigurationError(`cdk.json, context: the configuration is wrong.\n${problems.join('\n')}`);
  }
  return parsed.data;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const path = ['environments', ...issue.path].join('.');
  if (issue.code === 'unrecognized_keys') return `${path}: unknown field ${issue.keys.join(', ')}`;
  if (issue.code === 'invalid_value') return `${path}: must be one of ${issue.values.join(', ')}`;
  if (issue.code === 'invalid_key') {
    const what = issue.path.length === 1 ? "an environment's name" : 'a name';
    return `${path}: ${what} has ${issue.issues.map((inner) => inner.message).join(', ')}`;
  }
  return `${path}: ${issue.message}`;
}
