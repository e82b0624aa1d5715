import type { IndexStmt } from 'libpg-query';
import { refusedEntries } from '../registry/compile-registry.ts';
import type { IndexEntry } from '../registry/define-indexes.ts';
import { entryFromStatement } from '../registry/entry-from-statement.ts';
import type { NotTaken } from '../sources/source.ts';
import type { SchemaIndex } from '../sql/schema/objects.ts';
import type { Schema } from '../sql/schema/schema.ts';
import { spokenComment } from '../sql/spoken-comment.ts';
import type { Collected } from './collect.ts';
import { staleReference } from './stale-reference.ts';

/** What an import comes to. */
export interface Imported {
  readonly entries: readonly IndexEntry[];
  readonly notTaken: readonly NotTaken[];
  /** Indexes that constraints bring. */
  readonly constraints: number;
  /** Indexes that are dropped again further on. */
  readonly dropped: number;
  /** Parts of the indexes of partitioned tables. */
  readonly parts: number;
}

/** The entries of the indexes that are there in the end. */
export async function entriesOf(
  { schema, notTaken }: Collected,
  linesOf: (file: string) => boolean,
): Promise<Imported> {
  const placeOf = ({ place }: SchemaIndex) => ({
    file: place.file,
    line: linesOf(place.file) ? place.line : null,
  });
  const left: NotTaken[] = [...notTaken];
  const candidates: { index: SchemaIndex; entry: IndexEntry }[] = [];
  const own = schema.indexes.filter((index) => index.constraint === null && index.attachedTo === null);
  for (const index of own) {
    const reason = refusal(schema, index);
    if (reason !== null || index.written === null) {
      left.push({ ...placeOf(index), what: `index ${index.name}`, reason: reason ?? '' });
      continue;
    }
    candidates.push({ index, entry: entryOf(index, index.written, placeOf(index)) });
  }
  const entries: IndexEntry[] = [];
  const problems = await refusedEntries(candidates.map(({ entry }) => entry));
  for (const [position, { index, entry }] of candidates.entries()) {
    const reason = problems.get(position);
    if (reason === undefined) entries.push(entry);
    else left.push({ ...placeOf(index), what: `index ${index.name}`, reason });
  }
  return {
    entries,
    notTaken: left,
    constraints: schema.indexes.filter((index) => index.constraint !== null && index.attachedTo === null)
      .length,
    dropped: schema.gone.filter(({ index }) => index.constraint === null && index.attachedTo === null).length,
    parts: schema.indexes.filter((index) => index.attachedTo !== null).length,
  };
}

function entryOf(
  index: SchemaIndex,
  written: { sql: string; statement: IndexStmt },
  { file, line }: { file: string; line: number | null },
): IndexEntry {
  const from = `From ${file}${line === null ? '' : `, line ${line}`}; say here what the index is for`;
  const description = index.description?.trim() || spokenComment(index.comments) || from;
  return entryFromStatement(written, {
    name: index.name,
    description,
    table: { schema: index.schema, name: index.table },
  });
}

/** Why an index that the statements make cannot become an entry. Null: it can. */
function refusal(schema: Schema, index: SchemaIndex): string | null {
  const table = schema.table({ schema: index.schema, name: index.table });
  if (table?.temporary || /^pg_temp/.test(index.schema)) return 'its table is temporary';
  if (index.written === null)
    return 'CREATE SCHEMA makes it, and its own text is not known; write its entry by hand';
  const stale = staleReference(index, table);
  return stale === null
    ? null
    : `its text names ${stale}, which has another name since; write its entry by hand`;
}
