import { projectPath } from '../../files/project-path.ts';
import type { IndexEntry } from '../../registry/define-indexes.ts';
import type { SqlSource } from '../../sources/sql-source.ts';
import type { SourcePlace } from '../../sql/places.ts';
import type { SqlStatement } from '../../sql/read-sql.ts';
import type { Schema } from '../../sql/schema/schema-model.ts';
import type { DroppedIndex, SchemaIndex } from '../../sql/schema/schema-objects.ts';
import type { Finding } from '../finding.ts';
import type { CreatedIndex } from './index-statement-problems.ts';
import type { LaterUse, LaterUses } from './later-uses.ts';

/** A CREATE INDEX statement that could move into the registry. */
export interface Move {
  readonly entry: IndexEntry;
  readonly created: CreatedIndex;
  readonly finding: Finding;
  readonly statement: SqlStatement;
  /** Where the statement is in its file, without a byte order mark, and its text there. */
  readonly inFile: StatementInFile;
}

interface StatementInFile {
  readonly start: number;
  readonly end: number;
  /** The offset after its semicolon. */
  readonly next: number;
  readonly text: string;
}

/** A statement in its file: values that replace placeholders change its offsets. */
export function inFile({ text, origin }: SqlSource, statement: SqlStatement): StatementInFile {
  const offsetOf = origin?.offsetOf ?? ((at) => at);
  const [start, end, next] = [statement.start, statement.end, statement.next].map(offsetOf) as [
    number,
    number,
    number,
  ];
  return { start, end, next, text: (origin?.text ?? text).slice(start, end) };
}

/** Why an index cannot move out of its migration. */
export interface Obstacle {
  readonly reason: string;
  /** Whether a later statement would fail on a new database without the index. */
  readonly needed: boolean;
  /** The finding says what to do, so it stays. @default false */
  readonly isExplained?: boolean;
}

const NEW_DATABASE =
  'and would fail on a new database, because the deploy builds indexes after all migrations';

/** Why an index cannot move out of its migration. Null: it can. */
export function obstacleOf(move: Move, uses: LaterUses, schema: Schema): Obstacle | null {
  const use = uses.of(move.statement);
  if (use !== undefined) return obstacleOfUse(use);
  const { file, line, column } = move.finding;
  const { dropped, index } = indexesAt(schema).get(placeKey({ file, line, column })) ?? {};
  if (dropped !== undefined) {
    const reason = `${projectPath(dropped.place.file)}, line ${dropped.place.line} drops it with ${dropped.by}, so the registry does not need it`;
    return { reason, needed: false };
  }
  const { dropLine } = move.created;
  if (dropLine !== null) {
    const reason = `line ${dropLine} drops the index of this name; remove both statements, and add the entry with onDrift: "rebuild"`;
    return { reason, needed: false, isExplained: true };
  }
  const { relation } = move.created.statement;
  const isAsWritten =
    index === undefined || (index.table === relation?.relname && index.written?.sql === move.statement.sql);
  if (isAsWritten) return null;
  const reason =
    'its table or one of its columns is renamed later; write the entry with the new names, and remove the statement';
  return { reason, needed: false };
}

/** The index of a statement, as it is at the end. */
interface IndexAt {
  index?: SchemaIndex;
  dropped?: DroppedIndex;
}

/** The indexes of a schema by the places of their statements. */
interface IndexPlaces {
  readonly changes: number;
  readonly byPlace: ReadonlyMap<string, IndexAt>;
}

/** A schema can have thousands of indexes, and each is asked for. */
const places = new WeakMap<Schema, IndexPlaces>();

function indexesAt(schema: Schema): IndexPlaces['byPlace'] {
  const changes = schema.indexChanges.length;
  const known = places.get(schema);
  if (known?.changes === changes) return known.byPlace;
  const byPlace = new Map<string, IndexAt>();
  const at = (place: SourcePlace) => {
    const key = placeKey(place);
    const one = byPlace.get(key) ?? {};
    byPlace.set(key, one);
    return one;
  };
  for (const index of schema.indexes) if (isOfStatement(index)) at(index.place).index ??= index;
  for (const dropped of schema.dropped)
    if (isOfStatement(dropped.index)) at(dropped.index.place).dropped ??= dropped;
  places.set(schema, { changes, byPlace });
  return byPlace;
}

/** Whether a CREATE INDEX statement creates it by itself. */
function isOfStatement({ isCopy, written }: SchemaIndex): boolean {
  return !isCopy && written !== null;
}

function placeKey({ file, line, column }: SourcePlace): string {
  return JSON.stringify([file, line, column]);
}

/** Why an index that a later statement uses stays. */
export function obstacleOfUse({ file, line, kind, what, inFunction }: LaterUse): Obstacle {
  const place = `${projectPath(file)}, line ${line}`;
  if (kind === 'drops') {
    const reason = `${place} drops it, so the registry does not need it; remove both statements, or allow this one with a comment`;
    return { reason, needed: false };
  }
  const how = kind === 'names' ? 'names it' : `needs it for ${what}`;
  if (inFunction === null) return { reason: `${place} ${how}, ${NEW_DATABASE}`, needed: true };
  const reason = `function ${inFunction}() (${place}) ${how}, and a migration that runs the function would fail on a new database`;
  return { reason, needed: true };
}
