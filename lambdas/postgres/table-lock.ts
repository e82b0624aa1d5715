import { readRelationKind } from './catalog.ts';
import { type Client, withTransaction } from './client.ts';
import { quotedTable, type Table } from './identifiers.ts';
import { DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE, sqlstateOf } from './sqlstate.ts';

const MATERIALIZED_VIEW = 'm';

/**
 * Part of deadlock_timeout that one try may wait. Whoever waits for a lock may hold a snapshot (of the catalogs, too) that
 * somebody's concurrent build waits for in turn. A deadlock ends the session that has waited for deadlock_timeout when
 * the circle closes: within ours the try is ended, after it the build could be; but by its time the try is over. And it is
 * longer than deadlock_timeout, because only then does autovacuum give way.
 */
const TRY_OF_DEADLOCK_TIMEOUT = 1.9;

/**
 * Takes the table's SHARE UPDATE EXCLUSIVE lock, which a concurrent build needs first, and runs `use` under it in one
 * transaction. It tries again and again, each time in a new transaction, so `use` must bear being rolled back and repeated.
 * @throws lock_not_available after `timeoutSeconds`.
 */
export async function withTableLock<T>(
  client: Client,
  table: Table,
  timeoutSeconds: number,
  use: () => Promise<T>,
): Promise<T> {
  const isView =
    (await readRelationKind(client, { schema: table.schema, name: table.table })) === MATERIALIZED_VIEW;
  const longestTry = TRY_OF_DEADLOCK_TIMEOUT * (await readDeadlockTimeout(client));
  const deadline = Date.now() + timeoutSeconds * 1000;
  for (;;) {
    const timeout = Math.max(1, Math.round(Math.min(longestTry, deadline - Date.now())));
    try {
      return await withTransaction(client, async () => {
        await client.query("select set_config('lock_timeout', $1, true)", [`${timeout}ms`]);
        // LOCK TABLE refuses materialized views. COMMENT takes the same lock, and sets the comment to what it is.
        await client.query(isView ? await sameCommentStatement(client, table) : lockStatement(table));
        return await use();
      });
    } catch (error) {
      const sqlstate = sqlstateOf(error);
      const mayPass = sqlstate === LOCK_NOT_AVAILABLE || sqlstate === DEADLOCK_DETECTED;
      if (!mayPass || Date.now() >= deadline) throw error;
    }
  }
}

/** In milliseconds. */
async function readDeadlockTimeout(client: Client): Promise<number> {
  const { rows } = await client.query<{ ms: number }>(
    "select setting::int as ms from pg_settings where name = 'deadlock_timeout'",
  );
  return rows[0]?.ms ?? 1000;
}

function lockStatement(table: Table): string {
  return `lock table only ${quotedTable(table)} in share update exclusive mode`;
}

/** Tries the table's lock by itself, so that no build waits for it: a build that waits cannot be told to give up. */
export async function probeTableLock(client: Client, table: Table, timeoutSeconds: number): Promise<void> {
  await withTableLock(client, table, timeoutSeconds, async () => {});
}

async function sameCommentStatement(client: Client, table: Table): Promise<string> {
  const { rows } = await client.query<{ statement: string }>(
    `select format('comment on materialized view %I.%I is %L', n.nspname, c.relname, obj_description(c.oid, 'pg_class')) as statement
       from pg_class c
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [table.schema, table.table],
  );
  return rows[0]?.statement ?? lockStatement(table);
}
