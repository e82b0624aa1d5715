import { readRelationKind } from './catalog.ts';
import { type Client, withTransaction } from './client.ts';
import { quotedTable, type Table } from './identifiers.ts';

const MATERIALIZED_VIEW = 'm';

/**
 * Takes the table's SHARE UPDATE EXCLUSIVE lock, which a concurrent build needs first, and runs `use` under it in one
 * transaction.
 * @throws lock_not_available after `timeoutSeconds`.
 */
export async function withTableLock<T>(
  client: Client,
  table: Table,
  timeoutSeconds: number,
  use: () => Promise<T>,
): Promise<T> {
  const isView = (await readRelationKind(client, table.schema, table.table)) === MATERIALIZED_VIEW;
  return await withTransaction(client, async () => {
    await client.query("select set_config('lock_timeout', $1, true)", [`${timeoutSeconds * 1000}ms`]);
    if (isView) {
      // LOCK TABLE refuses materialized views. COMMENT takes the same lock, and sets the comment to what it is.
      await client.query(await sameCommentStatement(client, table));
    } else {
      await client.query(`lock table only ${quotedTable(table)} in share update exclusive mode`);
    }
    return await use();
  });
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
  return rows[0]?.statement ?? `lock table only ${quotedTable(table)} in share update exclusive mode`;
}
