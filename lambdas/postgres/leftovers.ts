import type { CompiledIndex } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { isHeld, planRelease } from './dead-index.ts';
import { indexKey, type Named, type Table, tableKey } from './identifiers.ts';
import { deadName, OWN_PREFIX, replacementPrefix } from './index-names.ts';
import { readPropertiesOf } from './index-properties.ts';
import { LOCK_NOT_AVAILABLE, sqlstateOf } from './sqlstate.ts';
import { withLockTimeout } from './table-lock.ts';
import { LOCK_TIMEOUT_SECONDS, readUnlocked } from './unlocked-tables.ts';

/** A temporary index of this product: see index-names.ts. */
interface Leftover extends Named, Table {
  readonly of: CompiledIndex;
}

/**
 * Keys of the entries with a leftover that can be dropped: a dead index that was not dropped, or a replacement that was not
 * swapped in.
 */
export async function readLeftovers(client: Client, indexes: readonly CompiledIndex[]): Promise<Set<string>> {
  const found = await findLeftovers(client, indexes);
  if (found.length === 0) return new Set();
  const { rows, locked } = await readUnlocked(
    client,
    found,
    async (some) => await readPropertiesOf(client, some),
  );
  const properties = new Map(rows.map((row) => [indexKey(row), row]));
  const leftovers = new Set<string>();
  for (const leftover of found) {
    const held = properties.get(indexKey(leftover));
    const isDead = leftover.name.startsWith(deadName(leftover.of));
    const can = locked.has(tableKey(leftover))
      ? true
      : held === undefined || !isHeld(held)
        ? isDead || held !== undefined
        : isDead && (await canRelease(client, leftover));
    if (can) leftovers.add(indexKey(leftover.of));
  }
  return leftovers;
}

async function canRelease(client: Client, { of, name }: Leftover): Promise<boolean> {
  try {
    return await withLockTimeout(
      client,
      LOCK_TIMEOUT_SECONDS,
      async () => (await planRelease(client, of, name)).kind !== 'keep',
    );
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    return true;
  }
}

/** The relations with a temporary name are few, so they are read first. */
async function findLeftovers(client: Client, indexes: readonly CompiledIndex[]): Promise<Leftover[]> {
  const { rows } = await client.query<Named & Table>(
    `select n.nspname as schema, t.relname as "table", c.relname as name
       from pg_class c
       join pg_index i on i.indexrelid = c.oid
       join pg_class t on t.oid = i.indrelid
       join pg_namespace n on n.oid = t.relnamespace
      where c.relname >= $1::name and c.relname < $2::name and starts_with(c.relname, $1)`,
    [OWN_PREFIX, AFTER_OWN_PREFIX],
  );
  if (rows.length === 0) return [];
  const entries = Map.groupBy(indexes, tableKey);
  return rows.flatMap((row) =>
    (entries.get(tableKey(row)) ?? []).flatMap((index) =>
      [deadName(index), replacementPrefix(index)].some((prefix) => row.name.startsWith(prefix))
        ? [{ ...row, of: index }]
        : [],
    ),
  );
}

/** Names are ordered by their bytes, so this is the first one after all that begin with the prefix. */
const AFTER_OWN_PREFIX = `${OWN_PREFIX.slice(0, -1)}${String.fromCharCode(OWN_PREFIX.charCodeAt(OWN_PREFIX.length - 1) + 1)}`;
