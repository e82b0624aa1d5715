import type { IndexStmt } from 'libpg-query';
import { mistakenFor } from '../../lambdas/shared/build-item.ts';
import { type CompiledIndex, indexId } from '../../lambdas/shared/registry.ts';
import type { Place } from '../sql/places.ts';
import { compileIndex } from './compile-index.ts';
import { readEntry } from './entry-form.ts';
import { type EntryPlaces, type RegistryPlaces, textField } from './entry-places.ts';
import type { RegistryProblem } from './registry-error.ts';

/** An entry that can be used, and what it was made from. */
export interface ExaminedEntry {
  readonly index: CompiledIndex;
  readonly statement: IndexStmt;
  /** How messages call it: `entry 3 "idx_deals_tenant"`. */
  readonly label: string;
  readonly places: EntryPlaces;
  /** Warnings that are meant so, and why. */
  readonly accept: Readonly<Record<string, string>>;
}

export interface ExaminedRegistry {
  /** The entries without a problem of their own, in their order. */
  readonly examined: readonly ExaminedEntry[];
  readonly problems: readonly RegistryProblem[];
}

/**
 * Looks at each entry of a registry, and at all of them together.
 * @param entries what the registry's file holds: anything.
 * @param file for the problems' places.
 */
export async function examineRegistry(
  entries: unknown,
  file: string,
  places: RegistryPlaces,
): Promise<ExaminedRegistry> {
  if (!Array.isArray(entries)) {
    const message =
      'it must hold a list of entries; write export default defineIndexes([{ name, sql, description }]) or a JSON array';
    const problem = { rule: 'registry-file', entry: '', field: '', message, file, ...places.list } as const;
    return { examined: [], problems: [problem] };
  }
  const problems: RegistryProblem[] = [];
  const examined: ExaminedEntry[] = [];
  const earlier = new Map<string, string>();
  for (const [position, raw] of entries.entries()) {
    const place = { file, entry: label(position, raw), places: places.of(position) };
    const result = await examineEntry(raw, place);
    problems.push(...result.problems);
    if (result.examined === null) continue;
    examined.push(result.examined);
    const { schema, name } = result.examined.index;
    const key = JSON.stringify([schema, name]);
    const first = earlier.get(key);
    if (first === undefined) {
      earlier.set(key, place.entry);
      continue;
    }
    const message = `${first} has this name in schema "${schema}" too; give each its own, or remove one`;
    problems.push(problemAt(place, { rule: 'duplicate-name', field: 'name', message }));
  }
  return { examined, problems: [...problems, ...mistakableProblems(examined, file)] };
}

interface EntryPlace {
  readonly file: string;
  readonly entry: string;
  readonly places: EntryPlaces;
}

/** An entry whose other fields are wrong still has its statement checked. */
async function examineEntry(
  raw: unknown,
  place: EntryPlace,
): Promise<{ examined: ExaminedEntry | null; problems: RegistryProblem[] }> {
  const { entry, problems: form } = readEntry(raw);
  const problems = form.map((problem) => problemAt(place, problem));
  const sql = textField(raw, 'sql');
  if (sql === undefined) return { examined: null, problems };
  const compiled = await compileIndex(sql, textField(raw, 'name') || undefined);
  for (const { offset, ...problem } of compiled.problems) {
    problems.push(problemAt(place, problem, offset === undefined ? undefined : place.places.inSql(offset)));
  }
  if (entry === null || compiled.index === null) return { examined: null, problems };
  const { critical, description, serves, onDrift, accept } = entry;
  const index = { ...compiled.index, critical, description, serves, onDrift };
  const { statement } = compiled;
  return { examined: { index, statement, label: place.entry, places: place.places, accept }, problems };
}

/** What is executed, written down and reported goes by one text for each index, with its schema and its partitions. */
function mistakableProblems(examined: readonly ExaminedEntry[], file: string): RegistryProblem[] {
  const compiled = examined.map(({ index }) => index);
  const byId = Map.groupBy(compiled, indexId);
  return examined.flatMap(({ index, label: entry, places }) => {
    const id = indexId(index);
    // Hardly a name has an @ in it, and each of thousands against each other one would take long.
    const other = mistakenFor(index, id.includes('@') ? compiled : (byId.get(id) ?? []));
    // The same name in the same schema is told by itself.
    if (other === undefined || (other.schema === index.schema && other.name === index.name)) return [];
    const message =
      `executions and reports call it "${id}", which cannot be told from "${indexId(other)}" ` +
      `(index "${other.name}" in schema "${other.schema}") or a partition's part of it; rename one`;
    return [problemAt({ file, entry, places }, { rule: 'duplicate-name', field: 'name', message })];
  });
}

function problemAt(
  { file, entry, places }: EntryPlace,
  problem: Pick<RegistryProblem, 'rule' | 'field' | 'message'>,
  at?: Place,
): RegistryProblem {
  const { line, column } = at ?? (problem.field === '' ? places.entry : places.field(problem.field));
  return { ...problem, file, line, column, entry };
}

function label(position: number, raw: unknown): string {
  const name = textField(raw, 'name');
  return name ? `entry ${position + 1} "${name}"` : `entry ${position + 1}`;
}
