import type { CompiledIndex } from '../shared/registry.ts';
import { type CatalogEntry, readCatalog } from './catalog.ts';
import type { Client } from './client.ts';
import { indexKey, tableKey } from './identifiers.ts';
import { type Definition, readDefinitions, type TableDefinitions } from './index-definition.ts';
import { deadName, OWN_PREFIX, replacementPrefix } from './index-names.ts';

/**
 * The state of a registry entry in the database:
 * - `present`: the index is valid and has the same definition;
 * - `equivalent`: another valid index of the table has this definition, so a second one would only slow down writes;
 * - `drifted`: the index is valid and has another definition;
 * - `invalid`: the index exists on the table and is invalid;
 * - `missing`: none of these. Another relation can have the name.
 */
type IndexState = 'present' | 'equivalent' | 'drifted' | 'invalid' | 'missing';

export interface Examined {
  index: CompiledIndex;
  state: IndexState;
  /** The relation that has its name. */
  entry: CatalogEntry | undefined;
  /** `equivalent`: name of the other index. `drifted`: the definition in the database. */
  detail: string | null;
  /** `equivalent`: the other index is attached to the index of a partitioned table. */
  otherIsAttached: boolean;
  /** `drifted`: why a replacement cannot be swapped in. Null: it can. */
  notSwappable: 'backs a constraint' | 'is on a partitioned table' | null;
  /** An interrupted attempt left an index that must be dropped. */
  hasLeftover: boolean;
}

/** Whether the entry needs a build. */
export function needsWork(examined: Examined): boolean {
  const { state, hasLeftover } = examined;
  return state === 'missing' || state === 'invalid' || hasLeftover || isToBeSwapped(examined);
}

/** Whether a replacement is built and swapped in. */
export function isToBeSwapped({ state, index, notSwappable }: Examined): boolean {
  return state === 'drifted' && index.onDrift === 'rebuild' && notSwappable === null;
}

interface TableIndex {
  oid: number;
  schema: string;
  name: string;
  table: string;
  unique: boolean;
  /** Uniqueness is checked immediately. False: at the end of the transaction, as for a deferrable constraint. */
  immediate: boolean;
  backsConstraint: boolean;
  partitioned: boolean;
  attached: boolean;
}

/** Examines the state of registry entries. Does not wait long for locks of other sessions. */
export async function examine(client: Client, indexes: readonly CompiledIndex[]): Promise<Examined[]> {
  const entries = new Map((await readCatalog(client, indexes)).map((entry) => [indexKey(entry), entry]));
  const leftovers = await readLeftovers(client, indexes);
  const existing = Map.groupBy(await readTableIndexes(client, indexes), tableKey);
  const examined = new Map<string, Omit<Examined, 'hasLeftover'>>();
  for (const [table, members] of Map.groupBy(indexes, tableKey)) {
    const candidates = candidatesFor(members, existing.get(table) ?? []);
    const definitions =
      candidates.length === 0
        ? { actual: new Map<number, Definition>(), wanted: new Map<string, Definition | null>() }
        : await readDefinitions(
            client,
            candidates.map((candidate) => candidate.oid),
            members,
          );
    for (const index of members) {
      examined.set(indexKey(index), stateOf(index, entries.get(indexKey(index)), candidates, definitions));
    }
  }
  return indexes.flatMap((index) => {
    const found = examined.get(indexKey(index));
    return found === undefined ? [] : [{ ...found, hasLeftover: leftovers.has(indexKey(index)) }];
  });
}

/** Indexes of a table that can match an entry: by its name, or because both are unique or both are not. */
function candidatesFor(wanted: readonly CompiledIndex[], existing: readonly TableIndex[]): TableIndex[] {
  return existing.filter((candidate) =>
    wanted.some((index) => index.name === candidate.name || index.unique === candidate.unique),
  );
}

function stateOf(
  index: CompiledIndex,
  entry: CatalogEntry | undefined,
  candidates: readonly TableIndex[],
  { actual, wanted }: TableDefinitions,
): Omit<Examined, 'hasLeftover'> {
  const examined = { index, entry, detail: null, otherIsAttached: false, notSwappable: null };
  const definition = wanted.get(indexKey(index));
  const own = candidates.find((candidate) => candidate.name === index.name);
  if (own !== undefined) {
    const found = actual.get(own.oid);
    // If one of the definitions could not be read, the name decides.
    if (definition === undefined || found === undefined || definition === found)
      return { ...examined, state: 'present' };
    return { ...examined, state: 'drifted', detail: found, notSwappable: whyNotSwappable(own) };
  }
  const same = candidates.find(
    (candidate) => candidate.immediate && definition != null && actual.get(candidate.oid) === definition,
  );
  if (same !== undefined)
    return { ...examined, state: 'equivalent', detail: same.name, otherIsAttached: same.attached };
  const exists = entry?.kind === 'index' && entry.table === index.table;
  return { ...examined, state: exists ? 'invalid' : 'missing' };
}

function whyNotSwappable(own: TableIndex): Examined['notSwappable'] {
  if (own.backsConstraint) return 'backs a constraint';
  return own.partitioned ? 'is on a partitioned table' : null;
}

/** The valid indexes of the tables, except temporary ones of this product (see index-names.ts). */
async function readTableIndexes(client: Client, indexes: readonly CompiledIndex[]): Promise<TableIndex[]> {
  const { rows } = await client.query<TableIndex>(
    `select distinct
            i.indexrelid::int8::float8 as oid,
            n.nspname as schema,
            c.relname as name,
            t.relname as "table",
            i.indisunique as "unique",
            i.indimmediate as immediate,
            c.relkind = 'I' as partitioned,
            c.relispartition as attached,
            exists (select from pg_constraint con where con.conindid = i.indexrelid
                       and con.contype in ('p', 'u', 'x')) as "backsConstraint"
       from unnest($1::text[], $2::text[]) as wanted (schema, name)
       join pg_namespace n on n.nspname = wanted.schema
       join pg_class t on t.relnamespace = n.oid and t.relname = wanted.name
       join pg_index i on i.indrelid = t.oid and i.indisvalid and i.indislive
       join pg_class c on c.oid = i.indexrelid
      where not starts_with(c.relname, $3)`,
    [indexes.map((index) => index.schema), indexes.map((index) => index.table), OWN_PREFIX],
  );
  return rows;
}

/** Keys of the entries with a leftover: a dead index that was not dropped, or a replacement that was not swapped in. */
async function readLeftovers(client: Client, indexes: readonly CompiledIndex[]): Promise<Set<string>> {
  const names = indexes.flatMap((index) => [
    { of: indexKey(index), schema: index.schema, name: deadName(index) },
    { of: indexKey(index), schema: index.schema, name: replacementPrefix(index) },
  ]);
  const { rows } = await client.query<{ of: string }>(
    `select wanted.of
       from unnest($1::text[], $2::text[], $3::text[]) as wanted (of, schema, name)
       join pg_namespace n on n.nspname = wanted.schema
       join pg_class c on c.relnamespace = n.oid and starts_with(c.relname, $4) and starts_with(c.relname, wanted.name)`,
    [names.map((one) => one.of), names.map((one) => one.schema), names.map((one) => one.name), OWN_PREFIX],
  );
  return new Set(rows.map((row) => row.of));
}
