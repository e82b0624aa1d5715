import type { LintRule } from '../../registry/registry-rules.ts';

/** The rules for migrations, by name. */
export const MIGRATION_RULES = {
  'create-index': {
    severity: 'error',
    sentence: 'A migration creates no index, except those of constraints. All others belong in the registry.',
    acceptedIn: 'comment',
  },
  'create-index-on-new-table': {
    severity: 'error',
    sentence:
      'A migration creates no index on its own new table either: the deploy checks only indexes in the registry.',
    acceptedIn: 'comment',
  },
  'drop-index': {
    severity: 'error',
    sentence: 'A migration drops no index without CONCURRENTLY, because that blocks reads and writes.',
    acceptedIn: 'comment',
  },
  reindex: {
    severity: 'error',
    sentence: 'A migration rebuilds no index without CONCURRENTLY, because that blocks writes.',
    acceptedIn: 'comment',
  },
  'unique-constraint': {
    severity: 'error',
    sentence:
      'A migration adds no UNIQUE or PRIMARY KEY constraint to an existing table, because that blocks reads and writes while the index is built.',
    acceptedIn: 'comment',
  },
  'exclusion-constraint': {
    severity: 'error',
    sentence:
      'A migration adds no EXCLUDE constraint to an existing table, because that blocks reads and writes while the index is built.',
    acceptedIn: 'comment',
  },
  'detach-partition': {
    severity: 'error',
    sentence: 'A migration detaches no partition without CONCURRENTLY, because that blocks reads and writes.',
    acceptedIn: 'comment',
  },
  cluster: {
    severity: 'error',
    sentence: 'A migration does not use CLUSTER, because that blocks reads and writes.',
    acceptedIn: 'comment',
  },
  'vacuum-full': {
    severity: 'error',
    sentence: 'A migration does not use VACUUM FULL, because that blocks reads and writes.',
    acceptedIn: 'comment',
  },
  'refresh-materialized-view': {
    severity: 'error',
    sentence: 'A migration refreshes no materialized view without CONCURRENTLY, because that blocks reads.',
    acceptedIn: 'comment',
  },
  'transaction-control': {
    severity: 'error',
    sentence:
      'A file of the runner sql does not start, end or change the transaction that applies all files.',
    acceptedIn: null,
  },
  'outside-transaction': {
    severity: 'error',
    sentence: 'A file of the runner sql has no statement that PostgreSQL refuses inside a transaction.',
    acceptedIn: null,
  },
  'session-setting': {
    severity: 'error',
    sentence: 'A file of the runner sql does not change how the server reads its text.',
    acceptedIn: null,
  },
  'psql-only': {
    severity: 'error',
    sentence: 'A file of the runner sql has no commands of psql, and no data of COPY … FROM STDIN.',
    acceptedIn: null,
  },
  'online-migration': {
    severity: 'error',
    sentence:
      'A file of the runner sql that is marked as online has only statements that can run beside the application.',
    acceptedIn: 'comment',
  },
  'migration-file': {
    severity: 'error',
    sentence: 'Each file in a folder of migrations can be read, and has a name under which it is applied.',
    acceptedIn: null,
  },
  encoding: {
    severity: 'error',
    sentence: 'A file is text in UTF-8, without NUL bytes. A byte order mark is ignored.',
    acceptedIn: null,
  },
  unreadable: {
    severity: 'warning',
    sentence:
      "PostgreSQL's parser can parse every statement. A statement that it cannot parse is not checked.",
    acceptedIn: 'comment',
  },
  'allow-comment': {
    severity: 'error',
    sentence:
      'A comment that allows a rule names it and gives a reason. One that allows nothing is a warning.',
    acceptedIn: null,
  },
} as const satisfies Record<string, LintRule>;

export type MigrationRuleName = keyof typeof MIGRATION_RULES;
