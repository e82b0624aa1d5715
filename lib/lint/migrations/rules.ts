/** A rule that `lint` holds migrations to. */
export interface MigrationRuleText {
  readonly severity: 'error' | 'warning';
  /** What it asks for, in a sentence. */
  readonly sentence: string;
  /** Whether a comment beside the statement can allow it, with a reason. */
  readonly allowedInComment: boolean;
}

/** Every rule of the migrations, by its name. */
export const MIGRATION_RULES = {
  'create-index': {
    severity: 'error',
    sentence: 'Migrations create no indexes, but for those that constraints bring: the registry lists them.',
    allowedInComment: true,
  },
  'create-index-on-new-table': {
    severity: 'error',
    sentence:
      'Nor on a table that the same file makes: what the registry does not list, nobody watches over.',
    allowedInComment: true,
  },
  'drop-index': {
    severity: 'error',
    sentence: 'Migrations drop no index without CONCURRENTLY, which locks readers and writers out.',
    allowedInComment: true,
  },
  reindex: {
    severity: 'error',
    sentence: 'Migrations rebuild no index without CONCURRENTLY, which locks writers out.',
    allowedInComment: true,
  },
  unreadable: {
    severity: 'warning',
    sentence: "PostgreSQL's parser reads every statement; what it cannot read is not checked.",
    allowedInComment: true,
  },
  'allow-comment': {
    severity: 'error',
    sentence: 'A comment that allows names a rule and gives a reason. One that allows nothing is a warning.',
    allowedInComment: false,
  },
} as const satisfies Record<string, MigrationRuleText>;

export type MigrationRuleName = keyof typeof MIGRATION_RULES;
