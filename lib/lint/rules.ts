import { REGISTRY_RULES } from '../registry/rules.ts';
import { MIGRATION_RULES } from './migrations/rules.ts';

/** Rules that a comment in a migration can allow. */
export const RULES_ALLOWED_IN_COMMENTS: readonly string[] = [
  ...namesWhere(MIGRATION_RULES, (rule) => rule.allowedInComment),
  ...namesWhere(REGISTRY_RULES, (rule) => rule.acceptedIn === 'comment'),
];

function namesWhere<Rule>(rules: Record<string, Rule>, holds: (rule: Rule) => boolean): string[] {
  return Object.entries(rules).flatMap(([name, rule]) => (holds(rule) ? [name] : []));
}
