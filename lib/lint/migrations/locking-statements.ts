import type { AlterTableStmt, ClusterStmt, DropStmt, RangeVar, RefreshMatViewStmt } from 'libpg-query';
import { isEnabled } from '../../sql/option-values.ts';
import type { StatementNode } from '../../sql/parse-tree.ts';
import { quoteWhereNeeded } from '../../sql/quote-where-needed.ts';
import type { Schema } from '../../sql/schema/schema-model.ts';
import { relationIn, statementsToRun } from '../../sql/statements-to-run.ts';
import type { IndexProblem } from './index-statement-problems.ts';
import { REBUILDS } from './replaced-indexes.ts';

/** What decides about a statement that locks tables. */
export interface LockContext {
  /** The names in the registry. */
  readonly registered: readonly string[];
  /** The schema before the statement. */
  readonly schema: Schema;
  /** Whether a table or view is empty or unused: the same file creates it, or it is temporary. */
  readonly isNew: (relation: RangeVar | undefined) => boolean;
  /** The indexes of the statement that the same file creates again, and the lines. */
  readonly replaced: readonly { readonly name: string; readonly line: number }[];
}

/** Statements that make reads or writes of a table wait until the migrations are committed, and that have a better form. */
export function lockingProblems(node: StatementNode, context: LockContext): IndexProblem[] {
  const { DropStmt: drop, ReindexStmt: reindex, AlterTableStmt: alter } = node;
  const { ClusterStmt: cluster, VacuumStmt: vacuum, RefreshMatViewStmt: refresh } = node;
  if (drop?.removeType === 'OBJECT_INDEX' && !drop.concurrent) return [dropProblem(node, drop, context)];
  if (reindex !== undefined && !isEnabled(reindex.params, 'concurrently', false))
    return [reindexProblem(node, context)];
  if (alter !== undefined) return detachProblem(node, alter, context);
  if (cluster !== undefined) return clusterProblem(node, cluster, context);
  if (vacuum?.is_vacuumcmd && isEnabled(vacuum.options, 'full', false)) return [vacuumProblem(node, context)];
  return refresh === undefined ? [] : refreshProblem(node, refresh, context);
}

const WAIT = 'until the migrations are committed';
const LATER = 'Remove it, and run it yourself after the deploy, outside of a transaction';

/** `: DROP INDEX …;`, or a full stop. */
function toRun(node: StatementNode, { schema }: LockContext): string {
  const statements = statementsToRun(node, schema);
  return statements === null ? '.' : `: ${statements}`;
}

function dropProblem(
  node: StatementNode,
  { objects = [], behavior }: DropStmt,
  context: LockContext,
): IndexProblem {
  const relations = objects.map(relationIn);
  const { replaced } = context;
  if (replaced.length > 0 && replaced.length === relations.length) return replaceProblem(replaced);
  const listed = relations.filter(({ relname }) => context.registered.includes(relname ?? '')).map(dotted);
  const rebuilt =
    listed.length > 0
      ? ` The registry lists ${listed.join(', ')}: remove the entry too, or the next deploy builds it again.`
      : '';
  const cascade =
    behavior === 'DROP_CASCADE'
      ? ' PostgreSQL drops nothing else concurrently: drop what depends on it, such as foreign keys, in the migration.'
      : '';
  return {
    rule: 'drop-index',
    message:
      `DROP INDEX ${relations.map(dotted).join(', ')} without CONCURRENTLY blocks reads and writes of the table ${WAIT}. ` +
      `Drop ${relations.length === 1 ? 'it' : 'each index'} after the deploy, outside of a transaction` +
      `${toRun(node, context)}${cascade}${rebuilt}`,
  };
}

/** DROP INDEX before a CREATE INDEX of the same name: dropping it after the deploy would drop the new index. */
function replaceProblem(replaced: LockContext['replaced']): IndexProblem {
  const names = replaced.map(({ name }) => quoteWhereNeeded(name)).join(', ');
  const lines = replaced
    .map(({ name, line }) => `line ${line} creates ${quoteWhereNeeded(name)} again`)
    .join(', ');
  return {
    rule: 'drop-index',
    message:
      `DROP INDEX ${names} without CONCURRENTLY blocks reads and writes of the table ${WAIT}, and ${lines}. Remove these statements, and ` +
      `write the new definition into the registry. ${REBUILDS}`,
  };
}

function dotted({ schemaname, relname = '' }: RangeVar): string {
  return [schemaname, relname]
    .flatMap((part) => (part === undefined ? [] : quoteWhereNeeded(part)))
    .join('.');
}

function reindexProblem(node: StatementNode, context: LockContext): IndexProblem {
  return {
    rule: 'reindex',
    message:
      `REINDEX without CONCURRENTLY blocks writes to the table, and reads that use the index, ${WAIT}. Run it yourself, outside of a ` +
      `transaction${toRun(node, context)} The deploy repairs invalid indexes of the registry.`,
  };
}

function detachProblem(
  node: StatementNode,
  { relation, cmds }: AlterTableStmt,
  context: LockContext,
): IndexProblem[] {
  const blocks = (cmds ?? []).some((command) => {
    const { subtype, def } = 'AlterTableCmd' in command ? command.AlterTableCmd : {};
    return (
      subtype === 'AT_DetachPartition' &&
      def !== undefined &&
      'PartitionCmd' in def &&
      !def.PartitionCmd.concurrent
    );
  });
  if (!blocks || context.isNew(relation)) return [];
  const message =
    `DETACH PARTITION without CONCURRENTLY blocks reads and writes of ${dotted(relation ?? {})} ${WAIT}. ${LATER}` +
    `${toRun(node, context)} PostgreSQL refuses CONCURRENTLY if the table has a default partition: then set a short lock_timeout.`;
  return [{ rule: 'detach-partition', message }];
}

function clusterProblem(
  node: StatementNode,
  { relation }: ClusterStmt,
  context: LockContext,
): IndexProblem[] {
  if (relation !== undefined && context.isNew(relation)) return [];
  const table = relation === undefined ? 'each table' : dotted(relation);
  const message =
    `CLUSTER rewrites ${table} while its reads and writes wait, ${WAIT}. Remove it: pg_repack does the same with short locks. Or run ` +
    `it yourself while the application may wait, outside of a transaction${toRun(node, context)}`;
  return [{ rule: 'cluster', message }];
}

function vacuumProblem(node: StatementNode, context: LockContext): IndexProblem {
  const message =
    'VACUUM FULL rewrites each table while its reads and writes wait. Remove it: plain VACUUM makes the space usable again without ' +
    'blocking, and pg_repack returns it to the system with short locks. Or run it yourself while the application may wait, outside of a ' +
    `transaction${toRun(node, context)}`;
  return { rule: 'vacuum-full', message };
}

function refreshProblem(
  node: StatementNode,
  refresh: RefreshMatViewStmt,
  context: LockContext,
): IndexProblem[] {
  const { concurrent = false, skipData = false, relation } = refresh;
  if (concurrent || skipData || context.isNew(relation)) return [];
  const view = dotted(relation ?? {});
  const message =
    `REFRESH MATERIALIZED VIEW without CONCURRENTLY blocks reads of ${view} while its query runs and ${WAIT}. Write ` +
    `REFRESH MATERIALIZED VIEW CONCURRENTLY, which needs a unique index on columns of ${view} without WHERE, or remove it and run it ` +
    `after the deploy${toRun(node, context)}`;
  return [{ rule: 'refresh-materialized-view', message }];
}
