import type { Template } from 'aws-cdk-lib/assertions';
import { type Statement, statementsIn } from './template-values.ts';

/**
 * Whether a pattern of a policy (an action or a resource) covers a value, as IAM decides it: `*` stands for any characters,
 * also `:` and `/`, and `?` for exactly one. Everything else stands for itself.
 */
export function iamMatches(pattern: string, value: string): boolean {
  const source = pattern
    .split(/([*?])/)
    .map((part) =>
      part === '*' ? '[^]*' : part === '?' ? '[^]' : part.replace(/[\\^$.|+()[\]{}]/g, '\\$&'),
    );
  return new RegExp(`^${source.join('')}$`).test(value);
}

/** One action that a policy allows on one resource. */
export interface Permission {
  action: string;
  resource: string;
  condition: unknown;
}

/** All permissions that the policies of a template give, without trust policies. */
export function permissionsIn(template: Template): Permission[] {
  return statementsIn(template)
    .filter(({ Effect: effect, Resource: resources }) => effect === 'Allow' && resources.length > 0)
    .flatMap(permissionsOfStatement);
}

function permissionsOfStatement(statement: Statement): Permission[] {
  return statement.Action.flatMap((action) =>
    statement.Resource.map((resource) => ({ action, resource, condition: statement.Condition })),
  );
}

export function hasWildcard({ action, resource }: Pick<Permission, 'action' | 'resource'>): boolean {
  return /[*?]/.test(action + resource);
}
