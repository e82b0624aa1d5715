/** A rule that `lint` holds a registry or migrations to. Those of a registry with severity error are held by `cdk synth` and
 * `run` as well. */
export interface LintRule {
  readonly severity: 'error' | 'warning';
  /** What it asks for, in a sentence. */
  readonly sentence: string;
  /** Where a warning is accepted with a reason; null: nowhere. */
  readonly acceptedIn: 'entry' | 'comment' | null;
}

/** Every rule of the registry, by its name. */
export const REGISTRY_RULES = {
  'registry-file': {
    severity: 'error',
    sentence: 'The file is there, can be read, and holds a list of entries.',
    acceptedIn: null,
  },
  'entry-form': {
    severity: 'error',
    sentence: 'An entry has the fields that an entry has, each with a value of its kind.',
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
    sentence: 'The statement creates the index that the entry names, and PostgreSQL does not cut the name.',
    acceptedIn: null,
  },
  'duplicate-name': {
    severity: 'error',
    sentence: 'No two entries have one name in one schema, or names that executions cannot tell apart.',
    acceptedIn: null,
  },
  'duplicate-index': {
    severity: 'warning',
    sentence: 'No two entries define the same index under two names.',
    acceptedIn: 'entry',
  },
  'redundant-index': {
    severity: 'warning',
    sentence: 'No index is only the beginning of another one that serves the same queries.',
    acceptedIn: 'entry',
  },
  'tenant-column-first': {
    severity: 'warning',
    sentence: 'On tables of tenants, an index of several columns begins with the tenant column.',
    acceptedIn: 'entry',
  },
  'foreign-key-without-index': {
    severity: 'warning',
    sentence:
      'An index begins with the columns of each foreign key, because PostgreSQL makes none by itself.',
    acceptedIn: 'comment',
  },
  'unused-accept': {
    severity: 'warning',
    sentence: 'What an entry accepts is there.',
    acceptedIn: null,
  },
} as const satisfies Record<string, LintRule>;

export type RegistryRuleName = keyof typeof REGISTRY_RULES;

/** Why a name cannot stand in an entry's `accept`; null: it can. */
export function acceptRefusal(rule: string): string | null {
  const known: LintRule | undefined = Object.hasOwn(REGISTRY_RULES, rule)
    ? REGISTRY_RULES[rule as RegistryRuleName]
    : undefined;
  if (known?.acceptedIn === 'entry') return null;
  const valid = `an entry can accept ${acceptableRules().join(', ')}`;
  if (known === undefined) return `unknown rule; ${valid}`;
  if (known.acceptedIn === 'comment') {
    return `it is about a constraint, and is accepted there: -- pg-deploy-step: allow ${rule} reason; ${valid}`;
  }
  return `this rule cannot be accepted; ${valid}`;
}

function acceptableRules(): string[] {
  return Object.entries<LintRule>(REGISTRY_RULES)
    .filter(([, rule]) => rule.acceptedIn === 'entry')
    .map(([name]) => name);
}
