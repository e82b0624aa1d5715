import type { CompiledIndex } from '../shared/registry.ts';
import { type CatalogEntry, readCatalog } from './catalog.ts';
import type { Client } from './client.ts';
import { type ConstraintState, readConstraintStates } from './constraint-state.ts';
import { isHeld, planRelease } from './dead-index.ts';
import { describeForeignPartitions, readForeignPartitions } from './foreign-partitions.ts';
import { indexKey, type Named, type Table, tableKey } from './identifiers.ts';
import {
  type Definition,
  isSameDefinition,
  LOCK_TIMEOUT_SECONDS,
  readDefinition,
  readDefinitions,
  type TableDefinitions,
} from './index-definition.ts';
import { deadName, OWN_PREFIX, replacementPrefix } from './index-names.ts';
import { joinObstacles, type NotBuildable, type Obstacle, readProperties } from './index-properties.ts';
import {
  definitionOfReplacement,
  describeUnrepairable,
  hasPropertiesToKeep,
  whyNotReplaceable,
} from './replacement.ts';
import {
  DEPENDENT_OBJECTS_STILL_EXIST,
  FEATURE_NOT_SUPPORTED,
  INSUFFICIENT_PRIVILEGE,
  LOCK_NOT_AVAILABLE,
  sqlstateOf,
} from './sqlstate.ts';
import { type ConstraintEntry, hasConstraint } from './table-constraints.ts';
import { withLockTimeout } from './table-lock.ts';
import { readUntrustedCode } from './untrusted-code.ts';

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
  /** The index was not compared, because its table is locked: `present` means that a valid index has the name. */
  locked: boolean;
  /** Why the index was not compared, for another reason than a lock, and how to change that. Null: it was, or it need not be. */
  notCompared: string | null;
  /** The relation that has its name. */
  entry: CatalogEntry | undefined;
  /** `equivalent`: name of the other index. `drifted`: the definition in the database. */
  detail: string | null;
  /** `equivalent`: the other index is attached to the index of a partitioned table. */
  otherIsAttached: boolean;
  /** `drifted`: why a replacement cannot be swapped in. Null: it can. */
  notSwappable: Obstacle | null;
  /** A replacement is built under another name and swapped in, because the index has something that must not be lost. */
  replacement: Replacement | null;
  /** `missing` or `invalid`: why the index cannot be built at all. Null: it can. */
  notBuildable: NotBuildable | null;
  /** An interrupted attempt left an index that must be dropped. */
  hasLeftover: boolean;
  /** The constraint of the entry exists. Null: the entry has none. */
  constraintAttached: boolean | null;
}

export interface Replacement {
  /** From USING on. */
  definition: string;
  /** It replaces an invalid index. */
  repairs: boolean;
}

type ExaminedIndex = Omit<Examined, 'hasLeftover' | 'constraintAttached'>;

/** Whether the entry needs a build. */
export function needsWork({ state, hasLeftover, replacement, notBuildable }: Examined): boolean {
  if (notBuildable !== null) return false;
  return state === 'missing' || state === 'invalid' || hasLeftover || replacement !== null;
}

interface TableIndex {
  oid: number;
  schema: string;
  name: string;
  table: string;
  unique: boolean;
  /** Uniqueness is checked immediately. False: at the end of the transaction, as for a deferrable constraint. */
  immediate: boolean;
  attached: boolean;
}

/** Examines the state of registry entries. Does not wait long for locks of other sessions. */
export async function examine(client: Client, indexes: readonly CompiledIndex[]): Promise<Examined[]> {
  const plain = await examineIndexes(
    client,
    indexes.filter((index) => !hasConstraint(index)),
  );
  const examined = [...plain, ...(await examineConstraints(client, indexes.filter(hasConstraint)))];
  const byKey = new Map(examined.map((one) => [indexKey(one.index), one]));
  return indexes.flatMap((index) => byKey.get(indexKey(index)) ?? []);
}

/**
 * Examines entries with a constraint. Their definitions are compared in the catalog, because a constraint has only columns: see
 * constraint-state.ts.
 */
async function examineConstraints(client: Client, indexes: readonly ConstraintEntry[]): Promise<Examined[]> {
  if (indexes.length === 0) return [];
  const states = await readConstraintStates(client, indexes);
  const named = indexes.map((index) => ({
    ...index,
    name: states.get(indexKey(index))?.indexName ?? index.name,
  }));
  const entries = new Map((await readCatalog(client, named)).map((entry) => [indexKey(entry), entry]));
  const untrusted = await readUntrustedCode(client, indexes);
  const leftovers = await readLeftovers(client, [...named, ...indexes]);
  const examined: Examined[] = [];
  for (const [at, index] of indexes.entries()) {
    const [found, own] = [states.get(indexKey(index)), named[at] ?? index];
    if (found === undefined) continue;
    const state = found.state === 'attachable' ? 'missing' : found.state;
    const one = {
      ...{ index: own, state, locked: false, notCompared: null, entry: entries.get(indexKey(own)) },
      ...{ detail: await detailOf(client, own, found), otherIsAttached: false, replacement: null },
      ...{ notSwappable: found.obstacle, notBuildable: found.notBuildable },
    };
    const repaired =
      state === 'invalid' && one.notBuildable === null ? await withReplacement(client, one, undefined) : one;
    const hasLeftover = leftovers.has(indexKey(own)) || leftovers.has(indexKey(index));
    examined.push({
      ...(await withUntrustedCode(client, repaired, untrusted.get(indexKey(index)) ?? null)),
      ...{ index, hasLeftover, constraintAttached: state === 'present' },
    });
  }
  return examined;
}

async function detailOf(
  client: Client,
  index: ConstraintEntry,
  { state, detail }: ConstraintState,
): Promise<string | null> {
  if (state === 'attachable')
    return `The index ${index.name} is valid. The deploy adds the constraint ${index.constraint.name} with it.`;
  if (state !== 'drifted' || detail !== null) return detail;
  return (await unlessLocked(client, () => readDefinition(client, index)))?.text ?? null;
}

async function examineIndexes(client: Client, indexes: readonly CompiledIndex[]): Promise<Examined[]> {
  const entries = new Map((await readCatalog(client, indexes)).map((entry) => [indexKey(entry), entry]));
  const leftovers = await readLeftovers(client, indexes);
  const untrusted = await readUntrustedCode(client, indexes);
  const foreign = await readForeignPartitions(client, indexes);
  const existing = Map.groupBy(await readTableIndexes(client, indexes), tableKey);
  const examined = new Map<string, ExaminedIndex>();
  for (const [table, members] of Map.groupBy(indexes, tableKey)) {
    const candidates = candidatesFor(members, existing.get(table) ?? []);
    const definitions =
      candidates.length === 0 && !members.some((index) => entries.get(indexKey(index))?.kind === 'index')
        ? {
            actual: new Map<number, Definition>(),
            wanted: new Map<string, Definition | null>(),
            locked: false,
            notComparable: null,
          }
        : await readDefinitions(
            client,
            candidates.map((candidate) => candidate.oid),
            members,
            untrusted,
          );
    for (const index of members) {
      const code = untrusted.get(indexKey(index)) ?? null;
      const state = stateOf(index, entries.get(indexKey(index)), candidates, {
        ...definitions,
        notComparable: code ?? definitions.notComparable,
      });
      const wanted = definitions.wanted.get(indexKey(index)) ?? undefined;
      const found = await withUntrustedCode(client, await withReplacement(client, state, wanted), code);
      examined.set(indexKey(index), await withForeignPartitions(client, found, foreign.get(table) ?? []));
    }
  }
  return indexes.flatMap((index) => {
    const found = examined.get(indexKey(index));
    return found === undefined
      ? []
      : [{ ...found, hasLeftover: leftovers.has(indexKey(index)), constraintAttached: null }];
  });
}

/** Decides about a drifted or an invalid index whether it can be replaced, and whether its replacement must be swapped in. */
async function withReplacement(
  client: Client,
  examined: ExaminedIndex,
  wanted: Definition | undefined,
): Promise<ExaminedIndex> {
  const { index, state } = examined;
  if (state !== 'drifted' && state !== 'invalid') return examined;
  const old = await unlessLocked(client, async () => await readProperties(client, index));
  // As for a definition that cannot be read, the name decides.
  if (old === undefined)
    return state === 'drifted' ? { ...examined, state: 'present', detail: null, locked: true } : examined;
  const definition = wanted === undefined ? index.definition : definitionOfReplacement(index, wanted, old);
  if (state === 'drifted') {
    const notSwappable =
      wanted === undefined
        ? joinObstacles(old.obstacles)
        : await whyNotReplaceable(client, index, wanted, old);
    const isReplaced = index.onDrift === 'rebuild' && notSwappable === null;
    return { ...examined, notSwappable, replacement: isReplaced ? { definition, repairs: false } : null };
  }
  // The index of a partitioned table consists of its partitions' indexes, and an attached index is rebuilt in its place.
  if (old.partitioned || old.attached) return examined;
  const obstacle = joinObstacles(old.obstacles);
  if (obstacle !== null) {
    const message = describeUnrepairable(index, obstacle);
    return { ...examined, notBuildable: { sqlstate: DEPENDENT_OBJECTS_STILL_EXIST, message } };
  }
  return hasPropertiesToKeep(index, wanted, old)
    ? { ...examined, replacement: { definition, repairs: true } }
    : examined;
}

/** @param code why the definition of the registry must not be built. Null: it may */
async function withUntrustedCode(
  client: Client,
  examined: ExaminedIndex,
  code: string | null,
): Promise<ExaminedIndex> {
  const { index, state, replacement } = examined;
  if (replacement === null && state !== 'missing' && state !== 'invalid') return examined;
  const message =
    code ??
    // The owner of the table can falsify the normalized definition with which a replacement is built.
    (replacement === null
      ? null
      : ((await readUntrustedCode(client, [{ ...index, definition: replacement.definition }])).get(
          indexKey(index),
        ) ?? null));
  return message === null
    ? examined
    : { ...examined, replacement: null, notBuildable: { sqlstate: INSUFFICIENT_PRIVILEGE, message } };
}

async function withForeignPartitions(
  client: Client,
  examined: ExaminedIndex,
  partitions: readonly Table[],
): Promise<ExaminedIndex> {
  const { index, state } = examined;
  if (partitions.length === 0 || (state !== 'missing' && state !== 'invalid')) return examined;
  const message = await describeForeignPartitions(client, index, partitions);
  return { ...examined, notBuildable: { sqlstate: FEATURE_NOT_SUPPORTED, message } };
}

/** Undefined: a table that `read` needs is locked. */
async function unlessLocked<T>(client: Client, read: () => Promise<T>): Promise<T | undefined> {
  try {
    return await withLockTimeout(client, LOCK_TIMEOUT_SECONDS, read);
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    return undefined;
  }
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
  { actual, wanted, locked, notComparable }: TableDefinitions,
): ExaminedIndex {
  const examined = {
    ...{ index, locked, entry, detail: null, otherIsAttached: false },
    ...{ notSwappable: null, replacement: null, notBuildable: null },
    notCompared: wanted.has(indexKey(index)) || candidates.length === 0 || locked ? null : notComparable,
  };
  const definition = wanted.get(indexKey(index));
  const own = candidates.find((candidate) => candidate.name === index.name);
  if (own !== undefined) {
    const found = actual.get(own.oid);
    // If one of the definitions could not be read, the name decides.
    if (definition === undefined || found === undefined) return { ...examined, state: 'present' };
    return definition !== null && isSameDefinition(definition, found)
      ? { ...examined, state: 'present' }
      : { ...examined, state: 'drifted', detail: found.text };
  }
  const same = candidates.find((candidate) => {
    const found = actual.get(candidate.oid);
    return (
      candidate.immediate && definition != null && found !== undefined && isSameDefinition(definition, found)
    );
  });
  if (same !== undefined)
    return { ...examined, state: 'equivalent', detail: same.name, otherIsAttached: same.attached };
  const exists = entry?.kind === 'index' && entry.table === index.table;
  return { ...examined, state: exists ? 'invalid' : 'missing' };
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
            c.relispartition as attached
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

/**
 * Keys of the entries with a leftover that can be dropped: a dead index that was not dropped, or a replacement that was not
 * swapped in.
 */
async function readLeftovers(client: Client, indexes: readonly CompiledIndex[]): Promise<Set<string>> {
  const names = indexes.flatMap((index) => [
    { ...index, of: indexKey(index), name: deadName(index) },
    { ...index, of: indexKey(index), name: replacementPrefix(index) },
  ]);
  const { rows } = await client.query<Named & { of: string }>(
    `select wanted.of, wanted.schema, c.relname as name
       from unnest($1::text[], $2::text[], $3::text[], $4::text[]) as wanted (of, schema, "table", name)
       join pg_namespace n on n.nspname = wanted.schema
       join pg_class t on t.relnamespace = n.oid and t.relname = wanted."table"
       join pg_index i on i.indrelid = t.oid
       join pg_class c on c.oid = i.indexrelid and starts_with(c.relname, $5) and starts_with(c.relname, wanted.name)`,
    [
      names.map((one) => one.of),
      names.map((one) => one.schema),
      names.map((one) => one.table),
      names.map((one) => one.name),
      OWN_PREFIX,
    ],
  );
  const leftovers = new Set<string>();
  for (const { of, ...leftover } of rows) {
    const index = indexes.find((one) => indexKey(one) === of);
    if (index !== undefined && (await canDrop(client, index, leftover))) leftovers.add(of);
  }
  return leftovers;
}

async function canDrop(client: Client, index: CompiledIndex, leftover: Named): Promise<boolean> {
  const isDead = leftover.name.startsWith(deadName(index));
  const can = await unlessLocked(client, async () => {
    if (isDead) return (await planRelease(client, index, leftover.name)).kind !== 'keep';
    const properties = await readProperties(client, leftover);
    return properties !== undefined && !isHeld(properties);
  });
  return can ?? true;
}
