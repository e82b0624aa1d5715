import type { DropStmt, Node, RangeVar, RenameStmt } from 'libpg-query';
import { nodesIn, type StatementNode, stringsIn } from '../parse-tree.ts';
import { relationIn } from '../statements-to-run.ts';
import { alterTableLocks, defaultPartition, type OnlineContext } from './alter-table-locks.ts';
import type { Duration, LockMode, StatementLock } from './lock-modes.ts';

/** What a statement locks. Null: it is not known. */
type LocksOf<Kind extends keyof StatementNode> = (
  node: NonNullable<StatementNode[Kind]>,
  context: OnlineContext,
) => StatementLock[] | null;

/** A statement that locks no existing table, view, index or sequence, at most for reading, and only changes the catalog. */
const nothing = () => [];

function lock(what: string, mode: LockMode, lasts: Duration) {
  return (relation: RangeVar | undefined): StatementLock => ({ what, mode, lasts, relation });
}

/**
 * The locks of each kind of statement that may run while the application uses the database. A kind that is not in this table is
 * not known, and refused. A test compares it with the server. The forms of ALTER TABLE are in ALTER_TABLE.
 */
export const STATEMENTS: { readonly [Kind in keyof StatementNode]?: LocksOf<Kind> } = {
  AlterTableStmt: alterTableLocks,
  CreateStmt: createTable,
  CreateTableAsStmt: ({ query }) => (query !== undefined && 'SelectStmt' in query ? readRows(query) : null),
  IndexStmt: ({ relation }) => [
    {
      ...lock('CREATE INDEX', 'SHARE', 'long')(relation),
      instead: 'Write an entry into the registry: the deploy builds the index concurrently.',
    },
  ],
  CreateTrigStmt: ({ relation }) => [lock('CREATE TRIGGER', 'SHARE ROW EXCLUSIVE', 'moment')(relation)],
  RuleStmt: ({ relation }) => [lock('CREATE RULE', 'ACCESS EXCLUSIVE', 'moment')(relation)],
  CreatePolicyStmt: ({ table }) => [lock('CREATE POLICY', 'ACCESS EXCLUSIVE', 'moment')(table)],
  AlterPolicyStmt: ({ table }) => [lock('ALTER POLICY', 'ACCESS EXCLUSIVE', 'moment')(table)],
  CreateStatsStmt: ({ relations = [] }) =>
    rangeVars(relations).map(lock('CREATE STATISTICS', 'SHARE UPDATE EXCLUSIVE', 'moment')),
  ViewStmt: ({ view, replace }) =>
    replace ? [lock('CREATE OR REPLACE VIEW', 'ACCESS EXCLUSIVE', 'moment')(view)] : [],
  DropStmt: drop,
  RenameStmt: rename,
  AlterObjectSchemaStmt: ({ objectType = 'OBJECT_TABLE', relation }) => {
    if (RELATIONS.includes(objectType)) return [lock('SET SCHEMA', 'ACCESS EXCLUSIVE', 'moment')(relation)];
    return NOT_IN_TABLES.includes(objectType) ? [] : null;
  },
  AlterOwnerStmt: ({ objectType = 'OBJECT_TABLE' }) => (NOT_IN_TABLES.includes(objectType) ? [] : null),
  AlterSeqStmt: ({ sequence }) => [lock('ALTER SEQUENCE', 'SHARE ROW EXCLUSIVE', 'moment')(sequence)],
  AlterDomainStmt: ({ subtype, def }) => {
    const isNotValid = def !== undefined && 'Constraint' in def && def.Constraint.skip_validation === true;
    // T: default, N: DROP NOT NULL, X: DROP CONSTRAINT.
    if (['T', 'N', 'X'].includes(subtype ?? '') || (subtype === 'C' && isNotValid)) return [];
    return [
      {
        ...lock('ALTER DOMAIN', 'SHARE', 'long')(undefined),
        instead: 'It reads all tables that use the domain while their writes wait.',
      },
    ];
  },
  CommentStmt: () => [lock('COMMENT', 'SHARE UPDATE EXCLUSIVE', 'moment')(undefined)],
  LockStmt: ({ relations = [], mode = 8 }) => {
    const name = LOCK_MODES[mode - 1];
    return name === undefined ? null : rangeVars(relations).map(lock('LOCK TABLE', name, 'moment'));
  },
  TruncateStmt: ({ relations = [] }) =>
    rangeVars(relations).map(lock('TRUNCATE', 'ACCESS EXCLUSIVE', 'moment')),
  InsertStmt: (node) => changeRows('INSERT', node.relation, node),
  UpdateStmt: (node) => changeRows('UPDATE', node.relation, { UpdateStmt: node }),
  DeleteStmt: (node) => changeRows('DELETE', node.relation, { DeleteStmt: node }),
  SelectStmt: (node) => (onlyReads(node) ? readRows(node) : null),
  VacuumStmt: ({ is_vacuumcmd: isVacuum }) =>
    isVacuum ? null : [lock('ANALYZE', 'SHARE UPDATE EXCLUSIVE', 'long')(undefined)],
  ClusterStmt: ({ relation }) => [lock('CLUSTER', 'ACCESS EXCLUSIVE', 'long')(relation)],
  // On the indexes, and a weaker one on the table.
  ReindexStmt: () => [lock('REINDEX', 'ACCESS EXCLUSIVE', 'long')(undefined)],
  RefreshMatViewStmt: ({ concurrent, relation }) => [
    concurrent
      ? // Nobody writes to a materialized view.
        {
          ...lock('REFRESH MATERIALIZED VIEW CONCURRENTLY', 'EXCLUSIVE', 'long')(relation),
          isHarmless: true,
        }
      : {
          ...lock('REFRESH MATERIALIZED VIEW', 'ACCESS EXCLUSIVE', 'long')(relation),
          instead: 'Write REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on the view.',
        },
  ],
  CreateSchemaStmt: ({ schemaElts = [] }) => (schemaElts.length === 0 ? [] : null),
  CreateFunctionStmt: nothing,
  AlterFunctionStmt: nothing,
  CreateEnumStmt: nothing,
  AlterEnumStmt: nothing,
  CompositeTypeStmt: nothing,
  CreateRangeStmt: nothing,
  CreateDomainStmt: nothing,
  DefineStmt: nothing,
  CreateSeqStmt: nothing,
  CreateExtensionStmt: nothing,
  CreateRoleStmt: nothing,
  AlterRoleStmt: nothing,
  GrantRoleStmt: nothing,
  GrantStmt: nothing,
  AlterDefaultPrivilegesStmt: nothing,
  CreateCastStmt: nothing,
  VariableSetStmt: nothing,
  VariableShowStmt: nothing,
  NotifyStmt: nothing,
};

/** The locks of a statement on relations that can exist before it. Null: they are not known. */
export function locksOf(node: StatementNode, context: OnlineContext): StatementLock[] | null {
  const [kind] = Object.keys(node) as (keyof StatementNode)[];
  if (kind === undefined) return null;
  const of = STATEMENTS[kind] as
    | ((one: unknown, context: OnlineContext) => StatementLock[] | null)
    | undefined;
  return of?.(node[kind], context) ?? null;
}

const LOCK_MODES: readonly LockMode[] = [
  'ACCESS SHARE',
  'ROW SHARE',
  'ROW EXCLUSIVE',
  'SHARE UPDATE EXCLUSIVE',
  'SHARE',
  'SHARE ROW EXCLUSIVE',
  'EXCLUSIVE',
  'ACCESS EXCLUSIVE',
];

/** Objects with a lock of their own that statements of the application take too. */
const RELATIONS: readonly string[] = [
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_SEQUENCE',
  'OBJECT_FOREIGN_TABLE',
];

/** Parts of a table. */
const IN_TABLES: readonly string[] = [
  'OBJECT_COLUMN',
  'OBJECT_TABCONSTRAINT',
  'OBJECT_TRIGGER',
  'OBJECT_RULE',
  'OBJECT_POLICY',
];

/** Objects that are no part of a table, unless one depends on them. */
const NOT_IN_TABLES: readonly string[] = [
  'OBJECT_FUNCTION',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
  'OBJECT_AGGREGATE',
  'OBJECT_TYPE',
  'OBJECT_DOMAIN',
  'OBJECT_DOMCONSTRAINT',
  'OBJECT_SCHEMA',
  'OBJECT_EXTENSION',
  'OBJECT_OPERATOR',
  'OBJECT_CAST',
  'OBJECT_COLLATION',
];

function rangeVars(nodes: readonly Node[]): RangeVar[] {
  return nodes.flatMap((node) => ('RangeVar' in node ? [node.RangeVar] : []));
}

/** A new table locks those that it refers to. */
function createTable(
  { tableElts = [], inhRelations = [], partbound }: NonNullable<StatementNode['CreateStmt']>,
  context: OnlineContext,
): StatementLock[] {
  const keys = nodesIn(tableElts, 'Constraint').flatMap((node) => {
    const { contype, pktable } = node as { contype?: string; pktable?: RangeVar };
    return contype === 'CONSTR_FOREIGN' ? [pktable] : [];
  });
  const parents = rangeVars(inhRelations);
  const referenced = keys.map(lock('CREATE TABLE … REFERENCES', 'SHARE ROW EXCLUSIVE', 'moment'));
  if (partbound === undefined)
    return [
      ...referenced,
      ...parents.map(lock('CREATE TABLE … INHERITS', 'SHARE UPDATE EXCLUSIVE', 'moment')),
    ];
  const what = 'CREATE TABLE … PARTITION OF';
  return [
    ...referenced,
    ...parents.map(lock(what, 'ACCESS EXCLUSIVE', 'moment')),
    ...parents.flatMap((parent) => defaultPartition(what, parent, context)),
  ];
}

function drop({ removeType = 'OBJECT_TABLE', objects = [], behavior }: DropStmt): StatementLock[] | null {
  const isCascade = behavior === 'DROP_CASCADE';
  const what = `DROP ${removeType.replace('OBJECT_', '').replace('MATVIEW', 'MATERIALIZED VIEW').replaceAll('_', ' ')}`;
  const exclusive = lock(what, 'ACCESS EXCLUSIVE', 'moment');
  if (RELATIONS.includes(removeType)) return objects.map((object) => exclusive(relationIn(object)));
  // The table of the index is locked too, and not named.
  if (removeType === 'OBJECT_INDEX' || IN_TABLES.includes(removeType)) return [exclusive(undefined)];
  // What depends on it can be a column of any table.
  return NOT_IN_TABLES.includes(removeType) && !isCascade ? [] : null;
}

function rename({ renameType = 'OBJECT_TABLE', relation }: RenameStmt): StatementLock[] | null {
  if (renameType === 'OBJECT_INDEX')
    return [lock('ALTER INDEX … RENAME', 'SHARE UPDATE EXCLUSIVE', 'moment')(relation)];
  if (RELATIONS.includes(renameType) || IN_TABLES.includes(renameType))
    return [lock('RENAME', 'ACCESS EXCLUSIVE', 'moment')(relation)];
  return NOT_IN_TABLES.includes(renameType) ? [] : null;
}

/** Statements that change rows take a weak lock on the table. But each changed row stays locked until the end of the file. */
function changeRows(what: string, relation: RangeVar | undefined, tree: unknown): StatementLock[] | null {
  if (!onlyReads(tree, ['InsertStmt', 'UpdateStmt', 'DeleteStmt'])) return null;
  const everyRow = (['UpdateStmt', 'DeleteStmt'] as const).flatMap((kind) =>
    nodesIn(tree, kind).flatMap((node) => {
      const { whereClause, relation: changed } = node as { whereClause?: Node; relation?: RangeVar };
      const name = kind === 'UpdateStmt' ? 'UPDATE' : 'DELETE';
      return whereClause === undefined ? [{ changed, name }] : [];
    }),
  );
  return [
    lock(what, 'ROW EXCLUSIVE', 'long')(relation),
    ...everyRow.map(
      ({ changed, name }): StatementLock => ({
        ...lock(`${name} without WHERE`, 'EXCLUSIVE', 'long')(changed),
        instead:
          'Each row of the table stays locked until the file is committed, so writes of the application wait. Change the rows in parts, each in a file of its own with a WHERE, or outside of the migrations.',
      }),
    ),
  ];
}

function readRows(tree: unknown): StatementLock[] | null {
  if (!onlyReads(tree)) return null;
  const calls = nodesIn(tree, 'FuncCall').flatMap(functionName);
  const mode = calls.some((name) => OF_SEQUENCES.includes(name)) ? 'ROW EXCLUSIVE' : 'ACCESS SHARE';
  return [lock('SELECT', mode, 'long')(undefined)];
}

/** Functions that a statement of its own may call: nothing is known about the others. */
const HARMLESS = ['set_config', 'pg_notify', 'now', 'count', 'max', 'min', 'coalesce'];

const OF_SEQUENCES = ['setval', 'nextval'];

function functionName(call: unknown): string[] {
  return stringsIn((call as { funcname?: Node[] }).funcname).slice(-1);
}

/**
 * Whether a statement changes nothing but what is allowed, and a SELECT calls no function that could.
 * @param allowed kinds of statements in it
 */
function onlyReads(tree: unknown, allowed: readonly string[] = []): boolean {
  const kinds = ['InsertStmt', 'UpdateStmt', 'DeleteStmt', 'MergeStmt'].filter(
    (kind) => !allowed.includes(kind),
  );
  if (kinds.some((kind) => nodesIn(tree, kind).length > 0)) return false;
  if (nodesIn(tree, 'LockingClause').length > 0) return false;
  if (allowed.length > 0) return true;
  return nodesIn(tree, 'FuncCall')
    .flatMap(functionName)
    .every((name) => HARMLESS.includes(name) || OF_SEQUENCES.includes(name));
}
