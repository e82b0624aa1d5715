import { BadInput } from './errors.ts';
import { type CompiledIndex, entryId, indexId, type RegistryEntry, schemaIn } from './registry.ts';
import { schemaMatcher } from './schema-patterns.ts';
import { listed } from './text.ts';
import { quoted } from './visible-text.ts';

/*
 * The indexes that an execution's input names. The schema of the input has a file of its own, because a bundle contains all schemas
 * of a file.
 */

/** Most names in `indexes`, so that they fit into the state of an execution (256 KiB). */
export const MAX_INDEXES = 1_000;
/** Longest name in bytes: a schema, a dot and an index. PostgreSQL's names have at most 63 bytes. */
export const MAX_NAME_BYTES = 63 + 1 + 63;
/** Wrong values that one message shows. */
export const MOST_SHOWN = 5;

/** What names an entry. */
export type EntryName = Pick<RegistryEntry, 'schema' | 'name' | 'schemas'>;

/**
 * Finds the entries of named indexes. `public.NAME` is the same index as NAME in a registry that names the schema. Only the
 * database knows the schema of an entry that does not: see `requestedIndexes`.
 * @param names at most 1,000
 * @returns the id of each entry (see `entryId`), or SCHEMA.NAME for an entry that names no schema
 * @throws BadInput for names that are not in the registry, are too long, or name an index twice
 */
export function resolveIndexNames(names: readonly string[], registry: readonly EntryName[]): string[] {
  const byId = new Map(registry.map((entry) => [entryId(entry), entry]));
  const unknown: string[] = [];
  const repeated: string[] = [];
  /** The first name of each entry. */
  const named = new Map<string, string>();
  const resolved: string[] = [];
  for (const name of names) {
    const entry = entryNamed(name, byId);
    if (entry === undefined) {
      unknown.push(name);
      continue;
    }
    // Of an entry with `schemas`, each schema has an index.
    const id = entry.schemas === undefined ? entryId(entry) : name;
    const earlier = named.get(id);
    if (earlier === undefined) {
      named.set(id, name);
      resolved.push(entry.schema === null ? name : id);
    } else if (earlier === name) repeated.push(`${quotedName(name)} more than once`);
    else repeated.push(`${quotedName(earlier)} and ${quotedName(name)}, which are the same index`);
  }
  if (unknown.length > 0) throw unknownNames(unknown, [...byId.keys()]);
  if (repeated.length > 0) {
    throw new BadInput(`indexes: it lists ${listedFirst(repeated)}. Name each index once.`);
  }
  return resolved;
}

function unknownNames(unknown: readonly string[], valid: readonly string[]): BadInput {
  return new BadInput(
    `indexes: ${listedFirst(unknown.map(quotedName))} ${unknown.length === 1 ? 'is' : 'are'} not in the registry${tooLong(unknown[0] ?? '')}. ` +
      `Valid names: ${listed(valid)}.`,
  );
}

function entryNamed(name: string, byId: ReadonlyMap<string, EntryName>): EntryName | undefined {
  const exact = byId.get(name) ?? byId.get(name.replace(/^public\./, ''));
  if (exact !== undefined) return exact;
  // A schema can contain a dot too: try each one.
  for (let dot = name.indexOf('.', 1); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const entry = byId.get(name.slice(dot + 1));
    if (entry?.schema !== null) continue;
    const schema = schemaIn(name, entry.name);
    if (schema !== null && (entry.schemas === undefined || schemaMatcher(entry.schemas)(schema)))
      return entry;
  }
  return undefined;
}

/**
 * The indexes of a database that an input names.
 * @param indexes of the whole registry
 * @param names of `resolveIndexNames`. Empty: all indexes
 * @returns the indexes in the order of the registry, and the names that this database has no index for
 */
export function requestedIndexes(
  indexes: readonly CompiledIndex[],
  names: readonly string[],
): { requested: readonly CompiledIndex[]; unknown: string[] } {
  if (names.length === 0) return { requested: indexes, unknown: [] };
  const wanted = new Set(names);
  const found = new Set<string>();
  const requested = indexes.filter((index) => {
    const ids = [index.entryId, indexId(index), `${index.schema}.${index.name}`].filter((id) =>
      wanted.has(id),
    );
    for (const id of ids) found.add(id);
    return ids.length > 0;
  });
  return { requested, unknown: names.filter((name) => !found.has(name)) };
}

/**
 * The names for the later states of a deploy: the id of each entry. A migration can create the table in another schema of the
 * search path, and the entry is the same. One schema of an entry with `schemas` stays SCHEMA.NAME.
 * @param indexes of the whole registry
 * @param names of `resolveIndexNames`
 * @throws BadInput that lists the valid names, for names that the database has no index for
 */
export function namesOfEntries(
  indexes: readonly CompiledIndex[],
  names: readonly string[],
  registry: readonly EntryName[],
): string[] {
  if (names.length === 0) return [];
  const { requested, unknown } = requestedIndexes(indexes, names);
  // No schema has to match.
  const perSchema = new Set(registry.filter(({ schemas }) => schemas !== undefined).map(entryId));
  const wrong = unknown.filter((name) => !perSchema.has(name));
  if (wrong.length > 0) throw unknownNames(wrong, [...perSchema, ...indexes.map(indexId)]);
  const inOneSchema = requested.filter((index) => index.schemas === undefined);
  const ids = new Set(inOneSchema.map((index) => index.entryId));
  const bySchema = new Map(inOneSchema.map((index) => [`${index.schema}.${index.name}`, index.entryId]));
  return names.map((name) => (ids.has(name) ? name : (bySchema.get(name) ?? name)));
}

function tooLong(name: string): string {
  return Buffer.byteLength(name) > MAX_NAME_BYTES
    ? ` (a name has at most ${MAX_NAME_BYTES} bytes, also with its schema)`
    : '';
}

export function listedFirst(texts: readonly string[]): string {
  return listed(texts, MOST_SHOWN);
}

/** Shows the name of an index as SQL quotes it, `"schema"."name"`, which is no host name either. */
function quotedName(name: string): string {
  return quoted(name).replaceAll('.', '"."');
}
