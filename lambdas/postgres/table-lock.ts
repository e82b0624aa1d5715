import type { CompiledIndex } from '../shared/registry.ts';
import { readRelationKind } from './catalog.ts';
import { type Client, withTransaction } from './client.ts';
import { quotedTable } from './identifiers.ts';

const MATERIALIZED_VIEW = 'm';

/**
 * Takes the table's SHARE UPDATE EXCLUSIVE lock, which a concurrent build needs first, and runs `use` under it in one
 * transaction.
 * @throws lock_not_available after `timeoutSeconds`.
 */
export async function withTableLock<T>(
  client: Client,
  index: CompiledIndex,
  timeoutSeconds: number,
  use: () => Promise<T>,
): Promise<T> {
  const isView = (await readRelationKind(client, index.schema, index.table)) === MATERIALIZED_VIEW;
  return await withTransaction(client, async () => {
    await client.query("select set_config('lock_timeout', $1, true)", [`${timeoutSeconds * 1000}ms`]);
    if (isView) {
      // LOCK TABLE refuses materialized views. COMMENT takes the same lock; the savepoint takes the comment back but
      // also the lock, so it is set to what it is.
      await client.query(await sameCommentStatement(client, index));
    } else {
      await client.query(`lock table only ${quotedTable(index)} in share update exclusive mode`);
    }
    return await use();
  });
}

/** Tries the table's lock by itself, so that no build waits for it: a build that waits cannot be told to give up. */
export async function probeTableLock(
  client: Client,
  index: CompiledIndex,
  timeoutSeconds: number,
): Promise<void> {
  await withTableLock(client, index, timeoutSeconds, async () => {});
}

async function sameCommentStatement(client: Client, index: CompiledIndex): Promise<string> {
  const { rows } = await client.query<{ statement: string }>(
    `select format('comment on materialized view %I.%I is %L', n.nspname, c.relname, obj_description(c.oid, 'pg_class')) as statement
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [index.schema, index.table],
  );
  return rows[0]?.statement ?? `lock table only ${quotedTable(index)} in share update exclusive mode`;
}

/** A session that keeps a lock from being had. */
export interface Blocker {
  pid: number;
  application: string;
  state: string;
  /** Age of its transaction, in seconds. */
  ageSeconds: number;
}

/** Sessions with a lock on the table that conflicts with SHARE UPDATE EXCLUSIVE. */
export async function readBlockers(client: Client, index: CompiledIndex): Promise<Blocker[]> {
  const { rows } = await client.query<Blocker>(
    `select distinct on (l.pid)
            l.pid,
            coalesce(nullif(a.application_name, ''), a.backend_type, 'unknown') as application,
            coalesce(a.state, 'unknown') as state,
            coalesce(extract(epoch from clock_timestamp() - a.xact_start), 0)::int as "ageSeconds"
       from pg_locks l
       join pg_class t on t.oid = l.relation
       join pg_namespace n on n.oid = t.relnamespace
       left join pg_stat_activity a on a.pid = l.pid
      where l.granted
        and l.locktype = 'relation'
        and l.database = (select oid from pg_database where datname = current_database())
        and n.nspname = $1 and t.relname = $2
        and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                       'AccessExclusiveLock')
        and l.pid <> pg_backend_pid()`,
    [index.schema, index.table],
  );
  return rows;
}

/** Blockers for a message; empty where none is known. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  if (blockers.length === 0) return '';
  const each = blockers.map(
    (blocker) =>
      `pid ${blocker.pid} (${blocker.application}, ${blocker.state}, transaction open for ${blocker.ageSeconds} s)`,
  );
  return ` Blocked by ${each.join(', ')}.`;
}
