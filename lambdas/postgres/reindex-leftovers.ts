import type { Client } from './client.ts';
import { qualified, quoteIdentifier } from './identifiers.ts';
import { deadName } from './index-names.ts';
import { withTableLock } from './table-lock.ts';

/** The index that was built anew in its place. */
interface Reindexed {
  schema: string;
  table: string;
  /** Its name, as of now and in the end. */
  name: string;
}

/**
 * Renames what an interrupted REINDEX CONCURRENTLY of an index left beside it, an invalid index of its name with _ccnew
 * or _ccold and perhaps a number at the end, to names that begin with the index's dead name: the caller drops those. No
 * REINDEX CONCURRENTLY is at work under the table's lock, which it holds from its beginning to its end.
 * @throws lock_not_available
 */
export async function removeReindexLeftovers(
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

/** PostgreSQL cuts a long name before it puts its ending behind, so that what is before the ending is a beginning of it. */
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
