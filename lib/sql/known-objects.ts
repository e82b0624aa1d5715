import { FunctionBodies } from './function-bodies.ts';
import { optionText } from './option-values.ts';
import type { StatementNode } from './parse-tree.ts';
import type { SqlStatement } from './read-sql.ts';
import { applyStatement } from './schema/apply-statement.ts';
import { Schema } from './schema/schema-model.ts';

/** What the migrations up to a statement have created. */
export class KnownObjects {
  readonly schema: Schema;
  readonly functions = new FunctionBodies();
  /** Whether a subscription has a replication slot, by its name. */
  readonly slots = new Map<string, boolean>();

  /** @param searchPath of the sessions that run the migrations @default public */
  constructor(searchPath?: readonly string[]) {
    this.schema = new Schema(searchPath);
  }

  /** @param file the path for the places of tables and indexes */
  apply(file: string, statement: SqlStatement): void {
    const { node } = statement;
    if (node?.CreateFunctionStmt !== undefined) this.functions.define(file, statement);
    if (node !== undefined) this.applySubscription(node);
    applyStatement(this.schema, file, statement);
  }

  private applySubscription(node: StatementNode): void {
    const { subname = '', options } = node.CreateSubscriptionStmt ?? node.AlterSubscriptionStmt ?? {};
    if (node.DropSubscriptionStmt !== undefined) this.slots.delete(node.DropSubscriptionStmt.subname ?? '');
    else if (node.CreateSubscriptionStmt !== undefined || optionText(options, 'slot_name') !== undefined) {
      this.slots.set(subname, optionText(options, 'slot_name')?.toLowerCase() !== 'none');
    }
  }
}
