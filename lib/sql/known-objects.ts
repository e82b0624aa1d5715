import type { RangeVar } from 'libpg-query';
import { FunctionBodies } from './function-bodies.ts';
import { optionText } from './option-values.ts';
import { type StatementNode, stringsIn } from './parse-tree.ts';
import type { SqlStatement } from './read-sql.ts';
import { applyStatement } from './schema/apply-statement.ts';
import { Schema } from './schema/schema-model.ts';
import { keyOf } from './schema/schema-objects.ts';

/** What the migrations up to a statement have created. */
export class KnownObjects {
  readonly schema: Schema;
  readonly functions = new FunctionBodies();
  /** Whether a subscription has a replication slot, by its name. */
  readonly slots = new Map<string, boolean>();
  /** Names of domains, without schemas. */
  readonly domains = new Set<string>();
  /** `keyOf` the partitioned tables that have a default partition. */
  readonly withDefaultPartition = new Set<string>();

  /** @param searchPath of the sessions that run the migrations @default public */
  constructor(searchPath?: readonly string[]) {
    this.schema = new Schema(searchPath);
  }

  /** @param file the path for the places of tables and indexes */
  apply(file: string, statement: SqlStatement): void {
    const { node } = statement;
    if (node?.CreateFunctionStmt !== undefined) this.functions.define(file, statement);
    if (node !== undefined) this.applySubscription(node);
    if (node !== undefined) this.applyDomain(node);
    if (node !== undefined) this.applyDefaultPartition(node);
    applyStatement(this.schema, file, statement);
  }

  private applyDomain({ CreateDomainStmt: domain }: StatementNode): void {
    const name = stringsIn(domain?.domainname).at(-1);
    if (name !== undefined) this.domains.add(name);
  }

  private applyDefaultPartition({ CreateStmt: create, AlterTableStmt: alter }: StatementNode): void {
    const add = (parent: RangeVar | undefined) =>
      this.withDefaultPartition.add(keyOf(this.schema.nameOf(parent)));
    const [parent] = create?.inhRelations ?? [];
    if (create?.partbound?.is_default && parent !== undefined && 'RangeVar' in parent) add(parent.RangeVar);
    for (const command of alter?.cmds ?? []) {
      const def = 'AlterTableCmd' in command ? command.AlterTableCmd.def : undefined;
      if (def !== undefined && 'PartitionCmd' in def && def.PartitionCmd.bound?.is_default)
        add(alter?.relation);
    }
  }

  private applySubscription(node: StatementNode): void {
    const { subname = '', options } = node.CreateSubscriptionStmt ?? node.AlterSubscriptionStmt ?? {};
    if (node.DropSubscriptionStmt !== undefined) this.slots.delete(node.DropSubscriptionStmt.subname ?? '');
    else if (node.CreateSubscriptionStmt !== undefined || optionText(options, 'slot_name') !== undefined) {
      this.slots.set(subname, optionText(options, 'slot_name')?.toLowerCase() !== 'none');
    }
  }
}
