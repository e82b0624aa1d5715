import { projectPath } from '../files/project-path.ts';
import { refusedEntries } from '../registry/compile-registry.ts';
import type { IndexEntry } from '../registry/define-indexes.ts';
import { entryFromStatement } from '../registry/entry-from-statement.ts';
import { hasPlaces } from '../sources/read-source.ts';
import { NoSourceError, type Skipped, type SourceFiles } from '../sources/sql-source.ts';
import { descriptionFromComments } from '../sql/comment-description.ts';
import { columnReferencesIn } from '../sql/parse-tree.ts';
import type { Schema } from '../sql/schema/schema-model.ts';
import type { Doubt, SchemaIndex, SchemaTable } from '../sql/schema/schema-objects.ts';
import type { WrittenStatement } from '../sql/schema/written-statement.ts';
import { collectIndexes } from './collect-indexes.ts';

/** The result of an import. */
export interface Imported {
  readonly entries: readonly IndexEntry[];
  readonly notTaken: readonly Skipped[];
  /** Number of indexes that belong to constraints. */
  readonly constraints: number;
  /** Number of indexes that a later statement drops. */
  readonly dropped: number;
  /** Number of indexes on partitions that belong to the index of a partitioned table. */
  readonly parts: number;
}

const MAX_PROBLEMS = 20;

/**
 * Imports the indexes that exist after all statements of the sources.
 * @param searchPath of the sessions that run the statements. Tables in its first schema are written without it @default public
 * @throws NoSourceError if a file is not UTF-8; the message lists the files, with line, column and byte
 */
export async function importSources(sources: SourceFiles, searchPath?: readonly string[]): Promise<Imported> {
  const files = inProject(sources.files);
  const skipped = inProject(sources.skipped);
  refuseOtherEncodings(files);
  const withoutLines = new Set(files.filter((source) => !hasPlaces(source)).map(({ file }) => file));
  const collected = collectIndexes(files, searchPath);
  const { schema } = collected;
  const placeOf = ({ place: { file, line } }: SchemaIndex): FilePlace => ({
    file,
    line: withoutLines.has(file) ? null : line,
  });
  const notTaken: Skipped[] = [...skipped, ...collected.skipped];
  const candidates: { index: SchemaIndex; entry: IndexEntry }[] = [];
  const own = schema.indexes.filter((index) => index.constraint === null && index.attachedTo === null);
  for (const index of own) {
    if (index.doubt !== null) {
      notTaken.push(inDoubt(index, index.doubt, withoutLines));
      continue;
    }
    const reason = whyNotImported(schema, index);
    if (reason !== null || index.written === null) {
      notTaken.push({ ...placeOf(index), what: `index ${index.name}`, reason: reason ?? '' });
      continue;
    }
    const firstSchema = schema.path.firstConfigured;
    candidates.push({ index, entry: entryOf(index, index.written, { ...placeOf(index), firstSchema }) });
  }
  const entries: IndexEntry[] = [];
  const problems = await refusedEntries(candidates.map(({ entry }) => entry));
  for (const [position, { index, entry }] of candidates.entries()) {
    const reason = problems.get(position);
    if (reason === undefined) entries.push(entry);
    else notTaken.push({ ...placeOf(index), what: `index ${index.name}`, reason });
  }
  return {
    entries,
    notTaken,
    constraints: schema.indexes.filter((index) => index.constraint !== null && index.attachedTo === null)
      .length,
    dropped: schema.dropped.filter(({ index }) => index.constraint === null && index.attachedTo === null)
      .length,
    parts: schema.indexes.filter((index) => index.attachedTo !== null).length,
  };
}

/** With paths relative to the project, which are the same on every machine: descriptions of entries contain them. */
function inProject<Item extends { readonly file: string }>(items: readonly Item[]): Item[] {
  return items.map((item) => ({ ...item, file: projectPath(item.file) }));
}

function refuseOtherEncodings(files: SourceFiles['files']): void {
  const problems = files.flatMap(({ file, encodingProblem }) =>
    encodingProblem == null
      ? []
      : [`${file}:${encodingProblem.line}:${encodingProblem.column}: ${encodingProblem.message}`],
  );
  if (problems.length === 0) return;
  const more = problems.length > MAX_PROBLEMS ? [`… and ${problems.length - MAX_PROBLEMS} more files`] : [];
  throw new NoSourceError([...problems.slice(0, MAX_PROBLEMS), ...more]);
}

type FilePlace = Pick<Skipped, 'file' | 'line'>;

function entryOf(
  index: SchemaIndex,
  written: WrittenStatement,
  { file, line, firstSchema }: FilePlace & { firstSchema: string },
): IndexEntry {
  const from = `Imported from ${file}${line === null ? '' : `, line ${line}`}. Describe what uses this index.`;
  const description = index.description?.trim() || descriptionFromComments(index.comments) || from;
  return entryFromStatement(written, {
    name: index.name,
    description,
    table: { schema: index.schema, name: index.table },
    firstSchema,
  });
}

/** An index that the server may not have, or may have with another definition, at the statement that decides it. */
function inDoubt(
  { name }: SchemaIndex,
  { place, reason }: Doubt,
  withoutLines: ReadonlySet<string>,
): Skipped {
  const { file, line } = place;
  return {
    ...{ file, line: withoutLines.has(file) ? null : line, what: `index ${name}` },
    reason: `${reason}; look whether the database has it, and write its entry yourself, or import the live database`,
  };
}

/** Why an index cannot become an entry. Null: it can. */
function whyNotImported(schema: Schema, index: SchemaIndex): string | null {
  const table = schema.table({ schema: index.schema, name: index.table });
  if (table?.temporary || /^pg_temp/.test(index.schema)) return 'its table is temporary';
  if (index.written === null)
    return 'CREATE SCHEMA creates it, and its own text is unknown; write its entry yourself';
  const stale = staleReference(index, table);
  return stale === null
    ? null
    : `its statement names ${stale}, which is renamed later; write its entry yourself`;
}

/**
 * A column that the statement of an index names with its table (`deals.status`), if a later statement renames one of the two:
 * the model does not rename such references. Null: there is none.
 */
function staleReference(index: SchemaIndex, table: SchemaTable | undefined): string | null {
  for (const { names } of columnReferencesIn(index.written?.statement)) {
    const known = table?.columns;
    // A name alone can be that of the table: the whole row.
    if (names.length === 1 && (!known || known.includes(names[0] ?? '') || names[0] === index.table))
      continue;
    if (names.length === 1) return names[0] ?? '';
    const [owner, column] = names.slice(-2);
    if (owner !== index.table || (known && !known.includes(column ?? ''))) return names.join('.');
  }
  return null;
}
