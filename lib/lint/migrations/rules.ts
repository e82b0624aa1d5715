import type { LintRule } from '../../registry/registry-rules.ts';

/** Every rule of the migrations, by its name. */
export const MIGRATION_RULES = {
  'create-index': {
    severity: 'error',
    sentence: 'Migrations create no indexes, but for those that constraints bring: the registry lists them.',
    acceptedIn: 'comment',
  },
  'create-index-on-new-table': {
    severity: 'error',
    sentence:
      'Nor on a table that the same file makes: what the registry does not list, nobody watches over.',
    acceptedIn: 'comment',
  },
  'drop-index': {
    severity: 'error',
    sentence: 'Migrations drop no index without CONCURRENTLY, which locks readers and writers out.',
    acceptedIn: 'comment',
  },
  reindex: {
    severity: 'error',
    sentence: 'Migrations rebuild no index without CONCURRENTLY, which locks writers out.',
    acceptedIn: 'comment',
  },
  unreadable: {
    severity: 'warning',
    sentence: "PostgreSQL's parser reads every statement; what it cannot read is not checked.",
    acceptedIn: 'comment',
  },
  'allow-comment': {
    severity: 'error',
    sentence: 'A comment that allows names a rule and gives a reason. One that allows nothing is a warning.',
    acceptedIn: null,
  },
} as const satisfies Record<string, LintRule>;

export type MigrationRuleName = keyof typeof MIGRATION_RULES;
