import type { IndexEntry } from '../../registry/define-indexes.ts';
import { valuesIn } from '../../sql/parse-tree.ts';
import type { SourcePlace } from '../../sql/places.ts';
import type { SqlStatement } from '../../sql/read-sql.ts';
import type { Schema } from '../../sql/schema/schema-model.ts';
import type { Finding } from '../finding.ts';

/** A CREATE INDEX statement that could move into the registry. */
export interface Move {
  readonly entry: IndexEntry;
  readonly finding: Finding;
  readonly statement: SqlStatement;
}

/** A later statement that names an index. */
interface LaterUse {
  readonly file: string;
  readonly line: number;
  readonly drops: boolean;
}

/** Kinds of statements that fail if an index that they name does not exist. */
const NAMING = [
  'AlterTableStmt',
  'AlterObjectSchemaStmt',
  'ClusterStmt',
  'CommentStmt',
  'DropStmt',
  'ReindexStmt',
  'RenameStmt',
];

/**
 * Records which later statements name an index that could move into the registry. On a new database such a statement would
 * fail, because the migrations run before the deploy builds the index.
 */
export class LaterUses {
  private readonly moves = new Map<string, Move>();
  private readonly uses = new Map<Move, LaterUse>();

  /** Starts to record the uses of an index. */
  add(move: Move): void {
    this.moves.set(move.entry.name, move);
  }

  record(file: string, { node, line }: SqlStatement): void {
    if (this.moves.size === 0 || !NAMING.includes(Object.keys(node ?? {})[0] ?? '')) return;
    const drops = node?.DropStmt !== undefined;
    for (const { value } of valuesIn(node)) {
      const move = typeof value === 'string' ? this.moves.get(value) : undefined;
      if (move !== undefined && !this.uses.has(move)) this.uses.set(move, { file, line, drops });
    }
  }

  of(move: Move): LaterUse | undefined {
    return this.uses.get(move);
  }
}

/** Why an index cannot move out of its migration. Null: it can. */
export function whyNotMovable(move: Move, uses: LaterUses, schema: Schema): string | null {
  const use = uses.of(move);
  if (use !== undefined) {
    const { file, line, drops } = use;
    return drops
      ? `${file}, line ${line} drops it, so the registry does not need it; remove both statements, or allow this one with a comment`
      : `${file}, line ${line} names it, and would fail on a new database; make that change in the registry too`;
  }
  const { file, line, column } = move.finding;
  const isFromStatement = ({ place }: { place: SourcePlace }) =>
    place.file === file && place.line === line && place.column === column;
  const dropped = schema.dropped.find(({ index }) => isFromStatement(index));
  if (dropped !== undefined) {
    return `${dropped.place.file}, line ${dropped.place.line} drops it with ${dropped.by}, so the registry does not need it`;
  }
  const index = schema.indexes.find(isFromStatement);
  const { relation } = move.statement.node?.IndexStmt ?? {};
  const isAsWritten =
    index === undefined || (index.table === relation?.relname && index.written?.sql === move.statement.sql);
  return isAsWritten
    ? null
    : 'its table or one of its columns is renamed later; write the entry with the new names, and remove the statement';
}
