import type { IndexEntry } from '../../registry/define-indexes.ts';
import type { SqlStatement } from '../../sql/read-sql.ts';
import type { Schema } from '../../sql/schema/schema.ts';
import type { Finding } from '../finding.ts';

/** A CREATE INDEX statement that can be moved into the registry. */
export interface Move {
  readonly entry: IndexEntry;
  readonly finding: Finding;
  readonly statement: SqlStatement;
}

/** A statement of a later migration that an index's name stands in. */
export interface Mention {
  readonly file: string;
  readonly line: number;
  /** It takes the index away. */
  readonly drops: boolean;
}

/** Kinds of statements that fail where the index that they name is not there. */
const NAMING = [
  'AlterTableStmt',
  'AlterObjectSchemaStmt',
  'ClusterStmt',
  'CommentStmt',
  'DropStmt',
  'ReindexStmt',
  'RenameStmt',
];

/** Notes which later statements name an index that could be moved: without it, they would fail on a new database. */
export class Mentions {
  private readonly moves = new Map<string, Move>();
  private readonly mentions = new Map<Move, Mention>();

  /** From here on, statements that name it are noted. */
  watch(move: Move): void {
    this.moves.set(move.entry.name, move);
  }

  note(file: string, { node, line }: SqlStatement): void {
    if (this.moves.size === 0 || !NAMING.includes(Object.keys(node ?? {})[0] ?? '')) return;
    const drops = node?.DropStmt !== undefined;
    JSON.stringify(node, (_key, value) => {
      const move = typeof value === 'string' ? this.moves.get(value) : undefined;
      if (move !== undefined && !this.mentions.has(move)) this.mentions.set(move, { file, line, drops });
      return value;
    });
  }

  of(move: Move): Mention | undefined {
    return this.mentions.get(move);
  }
}

/** Why an index cannot be moved out of its migration; null: it can. */
export function whyNotMovable(move: Move, mentions: Mentions, schema: Schema): string | null {
  const mention = mentions.of(move);
  if (mention !== undefined) {
    const { file, line, drops } = mention;
    return drops
      ? `${file}, line ${line} drops it, so that the registry does not need it; remove both, or allow it with a comment`
      : `${file}, line ${line} names it, and would fail on a new database; move what it does as well`;
  }
  const { file, line, column } = move.finding;
  const isIts = ({ place }: { place: { file: string; line: number; column: number } }) =>
    place.file === file && place.line === line && place.column === column;
  const gone = schema.gone.find(({ index }) => isIts(index));
  if (gone !== undefined) {
    return `${gone.place.file}, line ${gone.place.line} takes it away with ${gone.by}; it is not needed in the registry`;
  }
  const index = schema.indexes.find(isIts);
  const { relation } = move.statement.node?.IndexStmt ?? {};
  const isAsWritten =
    index === undefined || (index.table === relation?.relname && index.written?.sql === move.statement.sql);
  return isAsWritten
    ? null
    : 'its table or a column of it is renamed later; write the entry with the new names, and remove it here';
}
