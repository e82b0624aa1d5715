import type { AlterTableStmt, TableLikeClause } from 'libpg-query';
import type { StatementNode } from '../sql/read-sql.ts';
import { nameOf } from '../sql/schema/names.ts';
import type { Schema } from '../sql/schema/schema.ts';

/** CREATE_TABLE_LIKE_INDEXES of PostgreSQL's parse nodes. INCLUDING ALL has every bit. */
const LIKE_INDEXES = 1 << 6;
const SETTINGS = new Set([
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
  'AT_ReplaceRelOptions',
  'AT_SetTableSpace',
]);
const ROLLBACKS = new Set(['TRANS_STMT_ROLLBACK', 'TRANS_STMT_ROLLBACK_TO']);

/**
 * Statements that change the indexes that are there in the end, and that the model of the schema does not follow: it
 * would be wrong in silence. One for each file, as each has a session of its own.
 */
export class NotFollowed {
  private readonly schema: Schema;
  /** Indexes made and dropped when the transaction began. Null: outside of one. */
  private before: string | null = null;

  constructor(schema: Schema) {
    this.schema = schema;
  }

  /** What a statement does to indexes that no entry will say, before it is applied. Null: nothing. */
  reason(node: StatementNode | undefined): string | null {
    if (node?.CreateStmt !== undefined) {
      const likes = (node.CreateStmt.tableElts ?? []).flatMap((element) =>
        'TableLikeClause' in element ? [element.TableLikeClause] : [],
      );
      return likes.map((like) => this.copied(like)).find((reason) => reason !== null) ?? null;
    }
    if (node?.AlterTableStmt !== undefined) return this.settings(node.AlterTableStmt);
    const kind = node?.TransactionStmt?.kind;
    if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START') this.before = this.state();
    if (kind !== undefined && ROLLBACKS.has(kind)) return this.rolledBack();
    if (kind === 'TRANS_STMT_COMMIT') this.before = null;
    return null;
  }

  private copied({ relation, options = 0 }: TableLikeClause): string | null {
    if ((options & LIKE_INDEXES) === 0) return null;
    const source = nameOf(this.schema, relation);
    const has = this.schema.indexes.some(
      ({ schema, table, constraint }) =>
        schema === source.schema && table === source.name && constraint === null,
    );
    if (!has && this.schema.table(source) !== undefined) return null;
    return `it copies the indexes of ${source.name}, which are not known here; write their entries by hand`;
  }

  private settings({ relation, cmds = [] }: AlterTableStmt): string | null {
    const index = this.schema.index(nameOf(this.schema, relation));
    if (index === undefined || index.constraint !== null) return null;
    const sets = cmds.some(
      (command) => 'AlterTableCmd' in command && SETTINGS.has(command.AlterTableCmd.subtype ?? ''),
    );
    if (!sets) return null;
    return `it changes ${index.name} after it was made; write its WITH or TABLESPACE into the entry by hand`;
  }

  private rolledBack(): string | null {
    const { before } = this;
    this.before = null;
    if (before === null || before === this.state()) return null;
    return 'it takes back indexes that count here as made or dropped; look through the entries of this file';
  }

  private state(): string {
    return this.schema.indexes.map(({ schema, name }) => `${schema}.${name}`).join('\n');
  }
}
