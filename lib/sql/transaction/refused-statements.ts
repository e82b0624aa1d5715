import type { AlterSubscriptionStmt, Node, RangeVar } from 'libpg-query';
import type { Condition } from '../../../lambdas/shared/migration-manifest.ts';
import type { KnownObjects } from '../known-objects.ts';
import { wordsAtStart } from '../lexer.ts';
import { hasOption, isEnabled } from '../option-values.ts';
import type { StatementNode } from '../parse-tree.ts';

/** A statement that PostgreSQL refuses inside a transaction block, with SQLSTATE 25001. */
export interface RefusedStatement {
  /** As in PostgreSQL's message. */
  readonly name: string;
  /** What to do instead, in sentences. */
  readonly instead: string;
  /** Whether to run it by hand after the deploy. */
  readonly later: boolean;
  /** Null: it is refused. Otherwise the database decides, because the migrations do not create the object. */
  readonly condition: Condition | null;
}

interface Rule {
  readonly name: string;
  /** @default nothing, because `later` says it */
  readonly instead?: string;
  readonly later?: boolean;
  /** Its first words, for text that this parser cannot parse. Absent: the words do not decide. */
  readonly words?: readonly string[];
  /** False: it accepts the statement. */
  readonly refuses: (node: StatementNode, known: KnownObjects) => boolean | Condition;
}

const SERVER_WIDE = 'Do that before the deploy, outside of a migration: it concerns the whole server.';
const REPAIRED = 'The deploy repairs invalid indexes of the registry by itself.';
const REFRESH_YOURSELF =
  'Write WITH (refresh = false) and run ALTER SUBSCRIPTION … REFRESH PUBLICATION yourself after the deploy.';

/**
 * Everything that PostgreSQL refuses inside a transaction block. Lint, synth and preflight use this list, and
 * test/sql/transaction-problems.test.ts compares it with the server, for every kind of statement that the parser knows.
 * It does not contain COMMIT PREPARED and ROLLBACK PREPARED, which are transaction control.
 */
const REFUSED: readonly Rule[] = [
  {
    name: 'CREATE INDEX CONCURRENTLY',
    words: ['create index concurrently', 'create unique index concurrently'],
    refuses: ({ IndexStmt: index, CreateSchemaStmt: schema }) =>
      index?.concurrent === true || (schema?.schemaElts ?? []).some(isConcurrentIndex),
    instead:
      'Move it into the registry with lint --fix: the deploy builds it concurrently after the migrations. ' +
      'If a later migration needs the index, remove CONCURRENTLY instead.',
  },
  {
    name: 'DROP INDEX CONCURRENTLY',
    words: ['drop index concurrently'],
    refuses: ({ DropStmt: drop }) => drop?.concurrent === true,
    later: true,
  },
  {
    name: 'REINDEX CONCURRENTLY',
    refuses: ({ ReindexStmt: reindex }) => isEnabled(reindex?.params, 'concurrently', false),
    later: true,
    instead: REPAIRED,
  },
  { name: 'REINDEX SCHEMA', ...reindexOf('REINDEX_OBJECT_SCHEMA') },
  { name: 'REINDEX SYSTEM', ...reindexOf('REINDEX_OBJECT_SYSTEM') },
  { name: 'REINDEX DATABASE', ...reindexOf('REINDEX_OBJECT_DATABASE') },
  {
    name: 'REINDEX of a partitioned table or index',
    refuses: ({ ReindexStmt: reindex }, known) => isPartitioned(reindex?.relation, known),
    later: true,
    instead: REPAIRED,
  },
  {
    name: 'DETACH PARTITION … CONCURRENTLY',
    refuses: ({ AlterTableStmt: alter }) => (alter?.cmds ?? []).some(detachesConcurrently),
    later: true,
  },
  {
    name: 'VACUUM',
    words: ['vacuum'],
    refuses: ({ VacuumStmt: vacuum }) => vacuum?.is_vacuumcmd === true,
    later: true,
    instead: 'ANALYZE without VACUUM can stay.',
  },
  {
    name: 'CLUSTER without a table',
    refuses: ({ ClusterStmt: cluster }) => cluster !== undefined && cluster.relation === undefined,
    later: true,
  },
  {
    name: 'CLUSTER of a partitioned table',
    refuses: ({ ClusterStmt: cluster }, known) => isPartitioned(cluster?.relation, known),
    later: true,
  },
  {
    name: 'DISCARD ALL',
    words: ['discard all'],
    refuses: ({ DiscardStmt: discard }) => discard?.target === 'DISCARD_ALL',
    instead: 'Remove it: the deploy has a session of its own. RESET ALL and DISCARD TEMP are accepted.',
  },
  {
    name: 'ALTER SYSTEM',
    words: ['alter system'],
    refuses: ({ AlterSystemStmt: alter }) => alter !== undefined,
    instead: `${SERVER_WIDE} On RDS and Aurora, change the parameter group.`,
  },
  {
    name: 'CREATE DATABASE',
    words: ['create database'],
    refuses: ({ CreatedbStmt: create }) => create !== undefined,
    instead: SERVER_WIDE,
  },
  {
    name: 'DROP DATABASE',
    words: ['drop database'],
    refuses: ({ DropdbStmt: drop }) => drop !== undefined,
    instead: SERVER_WIDE,
  },
  {
    name: 'ALTER DATABASE … SET TABLESPACE',
    refuses: ({ AlterDatabaseStmt: alter }) => hasOption(alter?.options, 'tablespace'),
    instead: SERVER_WIDE,
  },
  {
    name: 'CREATE TABLESPACE',
    words: ['create tablespace'],
    refuses: ({ CreateTableSpaceStmt: create }) => create !== undefined,
    instead: SERVER_WIDE,
  },
  {
    name: 'DROP TABLESPACE',
    words: ['drop tablespace'],
    refuses: ({ DropTableSpaceStmt: drop }) => drop !== undefined,
    instead: SERVER_WIDE,
  },
  {
    name: 'CREATE SUBSCRIPTION with a new replication slot',
    refuses: ({ CreateSubscriptionStmt: create }) =>
      create !== undefined &&
      isEnabled(create.options, 'create_slot', isEnabled(create.options, 'connect', true)),
    instead:
      'Create the slot on the publisher first and write WITH (create_slot = false), or run it yourself.',
  },
  {
    name: 'ALTER SUBSCRIPTION … REFRESH PUBLICATION',
    refuses: ({ AlterSubscriptionStmt: alter }) => alter?.kind === 'ALTER_SUBSCRIPTION_REFRESH',
    later: true,
  },
  {
    name: 'ALTER SUBSCRIPTION … SET, ADD or DROP PUBLICATION with refresh',
    refuses: ({ AlterSubscriptionStmt: alter }) => changesPublications(alter),
    instead: REFRESH_YOURSELF,
  },
  {
    name: 'ALTER SUBSCRIPTION … SET (failover) or SET (two_phase)',
    refuses: ({ AlterSubscriptionStmt: alter }) =>
      alter?.kind === 'ALTER_SUBSCRIPTION_OPTIONS' &&
      (hasOption(alter.options, 'failover') || !isEnabled(alter.options, 'two_phase', true)),
    later: true,
  },
  {
    name: 'DROP SUBSCRIPTION with a replication slot',
    refuses: ({ DropSubscriptionStmt: drop }, known) => dropsSlot(drop?.subname, known),
    instead:
      'Write ALTER SUBSCRIPTION … DISABLE and ALTER SUBSCRIPTION … SET (slot_name = NONE) before it, and drop the slot on the ' +
      'publisher yourself.',
  },
];

/** The entry of the list for a statement. Null: PostgreSQL accepts it inside a transaction. */
export function refusedStatement(node: StatementNode, known: KnownObjects): RefusedStatement | null {
  for (const rule of REFUSED) {
    const refusal = rule.refuses(node, known);
    if (refusal !== false) return { ...described(rule), condition: refusal === true ? null : refusal };
  }
  return null;
}

/** The same for text that this parser cannot parse, by its first words. */
export function refusedByFirstWords(sql: string): RefusedStatement | null {
  const text = `${wordsAtStart(sql, 4).join(' ')} `;
  const found = REFUSED.find(({ words = [] }) => words.some((start) => text.startsWith(`${start} `)));
  return found === undefined ? null : { ...described(found), condition: null };
}

function described({ name, instead = '', later = false }: Rule): Omit<RefusedStatement, 'condition'> {
  return { name, instead, later };
}

function reindexOf(kind: string): Pick<Rule, 'refuses' | 'later' | 'instead'> {
  return { refuses: ({ ReindexStmt: reindex }) => reindex?.kind === kind, later: true, instead: REPAIRED };
}

function isConcurrentIndex(element: Node): boolean {
  return 'IndexStmt' in element && element.IndexStmt.concurrent === true;
}

function detachesConcurrently(command: Node): boolean {
  const change = 'AlterTableCmd' in command ? command.AlterTableCmd.def : undefined;
  return change !== undefined && 'PartitionCmd' in change && change.PartitionCmd.concurrent === true;
}

function isPartitioned(relation: RangeVar | undefined, { schema }: KnownObjects): boolean | Condition {
  if (relation === undefined) return false;
  const name = schema.nameOf(relation);
  const table = schema.table(name) ?? schema.tableOf(schema.index(name));
  // Without a schema in the migrations, the search path of the database decides.
  const written = relation.schemaname !== undefined || name.schema !== 'public';
  const unknown = { schema: written ? name.schema : null, name: name.name };
  return table?.partitioned ?? { kind: 'partitioned', relation: unknown };
}

const OF_PUBLICATIONS = [
  'ALTER_SUBSCRIPTION_SET_PUBLICATION',
  'ALTER_SUBSCRIPTION_ADD_PUBLICATION',
  'ALTER_SUBSCRIPTION_DROP_PUBLICATION',
];

function changesPublications(alter: AlterSubscriptionStmt | undefined): boolean {
  return OF_PUBLICATIONS.includes(alter?.kind ?? '') && isEnabled(alter?.options, 'refresh', true);
}

function dropsSlot(subscription: string | undefined, { slots }: KnownObjects): boolean | Condition {
  if (subscription === undefined) return false;
  return slots.get(subscription) ?? { kind: 'replication-slot', subscription };
}
