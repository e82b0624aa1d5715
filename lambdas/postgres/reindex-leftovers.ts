import type { Client } from './client.ts';
import { type Named, qualified, quoteIdentifier, type Table } from './identifiers.ts';
import { deadName } from './index-names.ts';
import { withTableLock } from './table-lock.ts';

/** An index that REINDEX rebuilt in place: its name does not change. */
type Reindexed = Named & Table;

/**
 * Renames the invalid indexes that interrupted REINDEX CONCURRENTLY statements left beside an index, so that the caller can
 * find and drop them: their new names begin with the index's dead name. PostgreSQL names these leftovers after the index,
 * with _ccnew or _ccold and sometimes a number at the end. REINDEX CONCURRENTLY holds the table's lock from beginning to
 * end, so under this lock every such index is a leftover.
 * @throws lock_not_available after `lockTimeoutSeconds`
 */
export async function renameReindexLeftovers(
  client: Client,
  index: Reindexed,
  lockTimeoutSeconds: number,
): Promise<void> {
  if ((await readReindexLeftovers(client, index)).length === 0) return;
  await withTableLock(client, index, lockTimeoutSeconds, async () => {
    for (const leftover of await readReindexLeftovers(client, index)) {
      const dead = `${deadName(index)}_${leftover.oid}`;
      await client.query(
        `alter index ${qualified({ schema: index.schema, name: leftover.name })} rename to ${quoteIdentifier(dead)}`,
      );
    }
  });
}

/** PostgreSQL truncates a long name before it adds the suffix, so the index's name begins with the rest of the name. */
async function readReindexLeftovers(
  client: Client,
  index: Reindexed,
): Promise<{ name: string; oid: string }[]> {
  const { rows } = await client.query<{ name: string; oid: string }>(
    `select c.relname as name, c.oid::text as oid
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
       join pg_class t on t.oid = i.indrelid
       join pg_namespace n on n.oid = t.relnamespace
      where n.nspname = $1 and t.relname = $2
        and not i.indisvalid and not c.relispartition
        and c.relname ~ '_cc(new|old)[0-9]*$'
        and starts_with($3, regexp_replace(c.relname, '_cc(new|old)[0-9]*$', ''))`,
    [index.schema, index.table, index.name],
  );
  return rows;
}
