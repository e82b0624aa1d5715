/**
 * A rule of `lint` for registries or migrations. `cdk synth` and `run` check the rules for registries that have the severity
 * error.
 */
export interface LintRule {
  readonly severity: 'error' | 'warning';
  /** The requirement in a sentence. */
  readonly sentence: string;
  /** Where a user can accept the warning and give a reason; null: nowhere. */
  readonly acceptedIn: 'entry' | 'comment' | null;
}

/** The rules for registries, by name. */
export const REGISTRY_RULES = {
  'registry-file': {
    severity: 'error',
    sentence: 'The file exists, can be read, and contains a list of entries.',
    acceptedIn: null,
  },
  'entry-form': {
    severity: 'error',
    sentence: 'An entry has only valid fields, each with a valid value.',
    acceptedIn: null,
  },
  statement: {
    severity: 'error',
    sentence:
      'The statement is one CREATE INDEX CONCURRENTLY IF NOT EXISTS, on a permanent table and all its partitions.',
    acceptedIn: null,
  },
  'index-name': {
    severity: 'error',
    sentence:
      'The statement creates the index that the entry names, and PostgreSQL does not truncate the name.',
    acceptedIn: null,
  },
  constraint: {
    severity: 'error',
    sentence: 'PostgreSQL can add the constraint of an entry with the index of the entry.',
    acceptedIn: null,
  },
  'duplicate-name': {
    severity: 'error',
    sentence: 'No two entries have the same name in a schema, or names that executions cannot distinguish.',
    acceptedIn: null,
  },
  'duplicate-index': {
    severity: 'warning',
    sentence: 'No two entries define the same index under different names.',
    acceptedIn: 'entry',
  },
  'redundant-index': {
    severity: 'warning',
    sentence: 'No index has only the first columns of another index that supports the same queries.',
    acceptedIn: 'entry',
  },
  'constraint-index': {
    severity: 'warning',
    sentence: 'No entry defines the index that a primary key or unique constraint has already.',
    acceptedIn: 'entry',
  },
  'tenant-column-first': {
    severity: 'warning',
    sentence: 'On tenant tables, an index with several columns starts with the tenant column.',
    acceptedIn: 'entry',
  },
  'foreign-key-without-index': {
    severity: 'warning',
    sentence: 'An index starts with the columns of each foreign key, because PostgreSQL does not create one.',
    acceptedIn: 'comment',
  },
  'unused-accept': {
    severity: 'warning',
    sentence: 'An entry accepts only warnings that occur.',
    acceptedIn: null,
  },
} as const satisfies Record<string, LintRule>;

export type RegistryRuleName = keyof typeof REGISTRY_RULES;

/** The reason why the `accept` field of an entry cannot contain a name; null if it can. */
export function acceptRefusal(rule: string): string | null {
  const known: LintRule | undefined = Object.hasOwn(REGISTRY_RULES, rule)
    ? REGISTRY_RULES[rule as RegistryRuleName]
    : undefined;
  if (known?.acceptedIn === 'entry') return null;
  const valid = `an entry can accept ${acceptableRules().join(', ')}`;
  if (known === undefined) return `unknown rule; ${valid}`;
  if (known.acceptedIn === 'comment') {
    return `this rule applies to a constraint; accept it there: -- pg-deploy-step: allow ${rule} reason; ${valid}`;
  }
  return `this rule cannot be accepted; ${valid}`;
}

function acceptableRules(): string[] {
  return Object.entries<LintRule>(REGISTRY_RULES)
    .filter(([, rule]) => rule.acceptedIn === 'entry')
    .map(([name]) => name);
}
