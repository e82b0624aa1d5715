import { type LintRule, REGISTRY_RULES } from '../registry/registry-rules.ts';
import { MIGRATION_RULES } from './migrations/rules.ts';

const RULES: Record<string, LintRule> = { ...MIGRATION_RULES, ...REGISTRY_RULES };

/** Rules that a comment in a migration can allow. */
export const RULES_ALLOWED_IN_COMMENTS: readonly string[] = Object.entries(RULES).flatMap(([name, rule]) =>
  rule.acceptedIn === 'comment' ? [name] : [],
);
