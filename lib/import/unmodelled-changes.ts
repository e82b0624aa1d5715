import type { AlterTableStmt, TableLikeClause } from 'libpg-query';
import type { StatementNode } from '../sql/parse-tree.ts';
import type { Schema } from '../sql/schema/schema-model.ts';

/** CREATE_TABLE_LIKE_INDEXES of PostgreSQL's parse nodes. INCLUDING ALL sets every bit. */
const LIKE_INDEXES = 1 << 6;
const SETTINGS = new Set([
  'AT_SetRelOptions',
  'AT_ResetRelOptions',
  'AT_ReplaceRelOptions',
  'AT_SetTableSpace',
]);
const ROLLBACKS = new Set(['TRANS_STMT_ROLLBACK', 'TRANS_STMT_ROLLBACK_TO']);

/**
 * Detects statements that change indexes in a way that the model of the schema does not contain. Without this check the
 * import would be wrong and not report it. Use one object for each file: each file runs in a session of its own.
 */
export class UnmodelledChanges {
  private readonly schema: Schema;
  /** Number of changes to the schema's indexes at the start of the transaction. Null: outside of a transaction. */
  private before: number | null = null;

  constructor(schema: Schema) {
    this.schema = schema;
  }

  /** What a statement does to indexes that no entry contains, before it is applied. Null: nothing. */
  reason(node: StatementNode | undefined): string | null {
    if (node?.CreateStmt !== undefined) {
      const likes = (node.CreateStmt.tableElts ?? []).flatMap((element) =>
        'TableLikeClause' in element ? [element.TableLikeClause] : [],
      );
      return likes.map((like) => this.copied(like)).find((reason) => reason !== null) ?? null;
    }
    if (node?.AlterTableStmt !== undefined) return this.settings(node.AlterTableStmt);
    const kind = node?.TransactionStmt?.kind;
    if (kind === 'TRANS_STMT_BEGIN' || kind === 'TRANS_STMT_START')
      this.before = this.schema.indexChanges.length;
    if (kind !== undefined && ROLLBACKS.has(kind)) return this.rolledBack();
    if (kind === 'TRANS_STMT_COMMIT') this.before = null;
    return null;
  }

  private copied({ relation, options = 0 }: TableLikeClause): string | null {
    if ((options & LIKE_INDEXES) === 0) return null;
    const source = this.schema.nameOf(relation);
    const has = this.schema.indexesOf(source).some(({ constraint }) => constraint === null);
    if (!has && this.schema.table(source) !== undefined) return null;
    return `it copies the indexes of ${source.name}, which this import does not do; write their entries yourself`;
  }

  private settings({ relation, cmds = [] }: AlterTableStmt): string | null {
    const index = this.schema.index(this.schema.nameOf(relation));
    if (index === undefined || index.constraint !== null) return null;
    const sets = cmds.some(
      (command) => 'AlterTableCmd' in command && SETTINGS.has(command.AlterTableCmd.subtype ?? ''),
    );
    if (!sets) return null;
    return `it changes ${index.name} after its creation; add the WITH or TABLESPACE to its entry yourself`;
  }

  private rolledBack(): string | null {
    const { before } = this;
    this.before = null;
    if (before === null || !this.differsFrom(before)) return null;
    return 'it rolls back indexes that this import counts as created or dropped; check the entries from this file';
  }

  /** Whether an index exists now that did not after the first changes, or the other way round. */
  private differsFrom(changes: number): boolean {
    const balance = new Map<string, number>();
    for (const { name, isAdded } of this.schema.indexChanges.slice(changes)) {
      balance.set(name, (balance.get(name) ?? 0) + (isAdded ? 1 : -1));
    }
    return [...balance.values()].some((count) => count !== 0);
  }
}
