import type { IndexStmt } from 'libpg-query';
import { indexKey, tableKey } from '../../lambdas/postgres/identifiers.ts';
import { confusableIds, confusableWith } from '../../lambdas/shared/build-item.ts';
import {
  type CompiledIndex,
  type CompiledRegistry,
  compiledRegistrySchema,
  entryId,
  inSchema,
  type RegistryEntry,
} from '../../lambdas/shared/registry.ts';
import { schemaMatcher } from '../../lambdas/shared/schema-patterns.ts';
import { compileConstraint } from './compile-constraint.ts';
import { compileStatement } from './compile-statement.ts';
import type { IndexEntry } from './define-indexes.ts';
import { readEntry, textField } from './entry-fields.ts';
import { type EntryPlaces, NO_PLACES, type RegistryPlaces } from './entry-places.ts';
import { problemText, RegistryError, type RegistryProblem } from './registry-error.ts';
import { readRegistryValue } from './registry-value.ts';
import {
  type EntryPosition,
  NO_LIST,
  problemOf,
  problemOfOption,
  type UnplacedProblem,
  withPlace,
} from './unplaced-problem.ts';

/** A valid entry and what it was compiled from. */
export interface ExaminedEntry {
  readonly index: RegistryEntry;
  readonly statement: IndexStmt;
  /** The entry's name in messages: `entry 3 "idx_deals_tenant"`. */
  readonly label: string;
  readonly places: EntryPlaces;
  /** The warnings that the entry accepts, each with its reason. */
  readonly accept: Readonly<Record<string, string>>;
}

export interface ExaminedRegistry {
  /** The entries that have no problem of their own, in the order of the file. */
  readonly examined: readonly ExaminedEntry[];
  readonly problems: readonly RegistryProblem[];
}

/**
 * Compiles a registry into the form that is shipped with the functions, in the order of the entries.
 * @param value the registry file's value, not validated yet.
 * @param file the file's name, for messages.
 * @param locate finds the entries in the file. It runs only when there is a problem, because it loads a parser.
 * @default every problem is at line 1, column 1
 * @throws RegistryError with every problem of every entry.
 */
export async function compileRegistry(
  value: unknown,
  file: string,
  locate?: () => Promise<RegistryPlaces>,
): Promise<CompiledRegistry> {
  const { examined, problems } = await examineEntries(value);
  if (problems.length === 0) return compiledRegistrySchema.parse(examined.map(({ index }) => index));
  const places = locate === undefined ? NO_PLACES : await locate();
  throw new RegistryError(problems.map((one) => withPlace(one, file, places)));
}

/**
 * Checks each entry of a registry, then all of them together.
 * @param value the registry file's value, not validated yet.
 * @param file the file's name, for the problems.
 */
export async function examineRegistry(
  value: unknown,
  file: string,
  places: RegistryPlaces,
): Promise<ExaminedRegistry> {
  const { examined, problems } = await examineEntries(value);
  return {
    examined: examined.map((one) => ({ ...one, places: places.of(one.position) })),
    problems: problems.map((one) => withPlace(one, file, places)),
  };
}

/** An entry of which the place is not known yet: the entries are searched in the file once, and only where that is needed. */
type UnplacedEntry = Omit<ExaminedEntry, 'places'> & EntryPosition;

interface ExaminedEntries {
  readonly examined: readonly UnplacedEntry[];
  readonly problems: readonly UnplacedProblem[];
}

async function examineEntries(value: unknown): Promise<ExaminedEntries> {
  const { entries, schemas, problems: ofOptions } = readRegistryValue(value);
  const problems = ofOptions.map(problemOfOption);
  if (entries === null) return { examined: [], problems: [NO_LIST] };
  const examined: UnplacedEntry[] = [];
  const firstOfName = new Map<string, string>();
  for (const [position, raw] of entries.entries()) {
    const place = { position, label: label(position, raw) };
    const result = await examineEntry(raw, place, schemas);
    problems.push(...result.problems);
    if (result.examined === null) continue;
    examined.push(result.examined);
    const { schema, name } = concrete(result.examined.index);
    const key = indexKey({ schema, name });
    const first = firstOfName.get(key);
    if (first === undefined) {
      firstOfName.set(key, place.label);
      continue;
    }
    const message = sameNameMessage(first, { schema });
    problems.push(problemOf(place, { rule: 'duplicate-name', field: 'name', message }));
  }
  const ofAll = [
    ...sameInOneSchema(examined),
    ...ambiguousNames(examined),
    ...conflictingConstraints(examined),
  ];
  return { examined, problems: [...problems, ...ofAll] };
}

/** An entry that names a schema can be the index of an entry with `schemas` in that schema. */
function sameInOneSchema(examined: readonly UnplacedEntry[]): UnplacedProblem[] {
  const perSchema = Map.groupBy(
    examined.flatMap(({ index: { name, schemas }, label }) =>
      schemas === undefined ? [] : [{ name, label, matches: schemaMatcher(schemas) }],
    ),
    ({ name }) => name,
  );
  return examined.flatMap((one) => {
    const { schema, name } = one.index;
    if (schema === null) return [];
    const other = perSchema.get(name)?.find(({ matches }) => matches(schema));
    if (other === undefined) return [];
    const message = sameNameMessage(other.label, { schema });
    return [problemOf(one, { rule: 'duplicate-name', field: 'name', message })];
  });
}

/** The index of an entry in `public`, if it names no schema: the id of both is NAME, so they exclude each other. */
function concrete(entry: RegistryEntry): CompiledIndex {
  return inSchema(entry, entry.schema ?? 'public');
}

function sameNameMessage(first: string, { schema }: { readonly schema: string }): string {
  return `${first} has this name in schema "${schema}" too; rename or remove one of them`;
}

/** Checks the statement even if other fields of the entry are wrong. */
async function examineEntry(
  raw: unknown,
  place: EntryPosition,
  schemasOfRegistry: readonly string[],
): Promise<{ examined: UnplacedEntry | null; problems: UnplacedProblem[] }> {
  const { entry, problems: ofFields } = readEntry(raw);
  const problems = ofFields.map((problem) => problemOf(place, problem));
  const sql = textField(raw, 'sql');
  if (sql === undefined) return { examined: null, problems };
  const compiled = await compileStatement(sql, textField(raw, 'name') || undefined);
  for (const { offset, ...problem } of compiled.problems) {
    problems.push(problemOf(place, problem, offset));
  }
  if (entry === null || compiled.index === null) return { examined: null, problems };
  const { critical, description, serves, onDrift, accept } = entry;
  const { statement } = compiled;
  let index: RegistryEntry = { ...compiled.index, critical, description, serves, onDrift };
  const schemas = [...(entry.schemas ?? (index.schema === null ? schemasOfRegistry : []))];
  if (schemas.length > 0 && index.schema !== null) {
    const message = `the statement names the schema "${index.schema}": remove either that name, or schemas`;
    problems.push(problemOf(place, { rule: 'entry-form', field: 'schemas', message }));
    return { examined: null, problems };
  }
  if (schemas.length > 0) index = { ...index, schemas };
  if (entry.retired !== undefined) index = { ...index, retired: entry.retired };
  if (entry.constraint !== undefined) {
    const { constraint, problems: ofConstraint } = compileConstraint({
      ...entry,
      statement,
      constraint: entry.constraint,
    });
    problems.push(...ofConstraint.map((problem) => problemOf(place, problem)));
    if (constraint === null) return { examined: null, problems };
    index = { ...index, constraint };
  }
  return { examined: { ...place, index, statement, accept }, problems };
}

/** Executions, the ledger and reports use one text for an index, its schema and its partition: it must be unique. */
function ambiguousNames(examined: readonly UnplacedEntry[]): UnplacedProblem[] {
  const indexes = examined.map((one) => ({ ...one, index: concrete(one.index) }));
  const byId = Map.groupBy(
    indexes.map(({ index }) => index),
    entryId,
  );
  return indexes.flatMap((one) => {
    const { index } = one;
    const candidates = confusableIds(index).flatMap((id) => byId.get(id)?.slice(0, 2) ?? []);
    const other = confusableWith(index, candidates);
    // Two entries with the same schema and name are reported above.
    if (other === undefined || (other.schema === index.schema && other.name === index.name)) return [];
    const message = ambiguousMessage(index, other);
    return [problemOf(one, { rule: 'duplicate-name', field: 'name', message })];
  });
}

/** A constraint gives its name to its index, and a table has one primary key. */
function conflictingConstraints(entries: readonly UnplacedEntry[]): UnplacedProblem[] {
  const examined = entries.map((one) => ({ ...one, index: concrete(one.index) }));
  const constraints = examined.filter(({ index }) => index.constraint !== undefined);
  const primaryKeys = constraints.filter(({ index }) => index.constraint?.type === 'primary key');
  const byName = Map.groupBy(examined, ({ index }) => indexKey(index));
  const byConstraint = Map.groupBy(constraints, ({ index }) => constraintKey(index));
  const byTable = Map.groupBy(primaryKeys, ({ index }) => tableKey(index));
  return constraints.flatMap((one) => {
    const { index } = one;
    const problem = (field: string, message: string) =>
      problemOf(one, { rule: 'constraint', field, message });
    const key = constraintKey(index);
    const earlier = (some: (typeof examined)[number][] = []) => (some[0] === one ? undefined : some[0]);
    const namesake = byName.get(key)?.find((other) => other !== one) ?? earlier(byConstraint.get(key));
    const primaryKey =
      index.constraint?.type === 'primary key' ? earlier(byTable.get(tableKey(index))) : undefined;
    const problems: UnplacedProblem[] = [];
    if (namesake !== undefined) {
      const message =
        `${namesake.label} uses this name in schema "${index.schema}" too, and the index of a constraint has the name of the ` +
        'constraint; rename one of them';
      problems.push(problem('constraint.name', message));
    }
    if (primaryKey !== undefined) {
      const message = `${primaryKey.label} is the primary key of table "${index.table}" already, and a table has only one; write "unique"`;
      problems.push(problem('constraint.type', message));
    }
    return problems;
  });
}

function constraintKey({ schema, name, constraint }: CompiledIndex): string {
  return indexKey({ schema, name: constraint?.name ?? name });
}

function ambiguousMessage(index: CompiledIndex, other: CompiledIndex): string {
  return (
    `executions and reports cannot distinguish "${entryId(index)}" from "${entryId(other)}" (index "${other.name}" in schema ` +
    `"${other.schema}") or from one of its partitions; rename one of the two indexes`
  );
}

function label(position: number, raw: unknown): string {
  const name = textField(raw, 'name');
  return name ? `entry ${position + 1} "${name}"` : `entry ${position + 1}`;
}

/**
 * The entries that the compiler refuses, by position, each with the reason: entries that do not compile must not be
 * written. Of entries with ambiguous names the first one is kept.
 */
export async function refusedEntries(entries: readonly IndexEntry[]): Promise<Map<number, string>> {
  const { examined, problems } = await examineEntries(entries);
  const refused = new Map<number, string>();
  for (const problem of problems) {
    const { rule, position } = problem;
    if (rule === 'duplicate-name' || position === null) continue;
    if (!refused.has(position)) refused.set(position, problemText({ ...problem, entry: '' }));
  }
  const accepted = new Map<string, UnplacedEntry>();
  for (const one of examined) {
    const index = concrete(one.index);
    const other = [...confusableIds(index), partitionsOf(index)].flatMap((id) => accepted.get(id) ?? [])[0];
    if (other === undefined) {
      // An index is found by its own id, and by all ids of which it could be a partition.
      for (const id of confusableIds(index))
        accepted.set(id === entryId(index) ? id : `${id}${PARTITIONS}`, one);
      continue;
    }
    const first = concrete(other.index);
    const isSame = first.schema === index.schema && first.name === index.name;
    const message = isSame ? sameNameMessage(other.label, index) : ambiguousMessage(index, first);
    refused.set(one.position, problemText({ entry: '', field: 'name', message }));
  }
  return refused;
}

/** Key of the indexes whose ids begin with this one's as those of its partitions do. */
const PARTITIONS = '\0';

function partitionsOf(index: CompiledIndex): string {
  return `${entryId(index)}${PARTITIONS}`;
}
