import type { DropStmt, Node, RangeVar, ReindexStmt } from 'libpg-query';
import { isEnabled, optionText } from './option-values.ts';
import { type StatementNode, stringsIn } from './parse-tree.ts';
import { quoteWhereNeeded } from './quote-where-needed.ts';
import type { Schema } from './schema/schema-model.ts';
import { statementText } from './statement-text.ts';

/**
 * What to run by hand, outside of a transaction, in place of a statement of a migration: the form of the statement that does not
 * block the table, where there is one. DROP INDEX becomes one statement for each index, because PostgreSQL drops only one of them
 * concurrently, and without IF EXISTS, which would hide a wrong name. Names without a schema get the one of the migration, unless
 * it is `public`.
 * @param schema the schema before the statement
 * @returns `DROP INDEX CONCURRENTLY a; DROP INDEX CONCURRENTLY b;`. Null: there is no text that certainly does this
 */
export function statementsToRun(node: StatementNode, schema: Schema): string | null {
  const texts = textsOf(node, schema);
  return texts.length === 0 || texts.includes(null) ? null : texts.map((text) => `${text};`).join(' ');
}

function textsOf(node: StatementNode, schema: Schema): (string | null)[] {
  const { DropStmt: drop, ReindexStmt: reindex, AlterTableStmt: alter } = node;
  const { RefreshMatViewStmt: refresh, ClusterStmt: cluster } = node;
  const qualified = <Statement extends { relation?: RangeVar }>(statement: Statement) =>
    statement.relation === undefined
      ? statement
      : { ...statement, relation: withSchema(statement.relation, schema) };
  if (drop?.removeType === 'OBJECT_INDEX') {
    return (drop.objects ?? []).map((object) => statementText({ DropStmt: dropOne(object, schema) }));
  }
  if (reindex !== undefined) return [concurrentReindex(qualified(reindex))];
  if (refresh !== undefined) {
    const isFilled = refresh.skipData !== true;
    return [
      statementText({ RefreshMatViewStmt: { ...(isFilled && { concurrent: true }), ...qualified(refresh) } }),
    ];
  }
  if (alter !== undefined) {
    const commands = (alter.cmds ?? []).flatMap((command) => detachConcurrently(command, schema));
    return commands.map((command) =>
      statementText({ AlterTableStmt: { ...qualified(alter), cmds: [command] } }),
    );
  }
  return [statementText(cluster === undefined ? node : { ClusterStmt: qualified(cluster) })];
}

function withSchema(relation: RangeVar, schema: Schema): RangeVar {
  const name = schema.nameOf(relation);
  return name.schema === 'public' || relation.schemaname !== undefined
    ? relation
    : { schemaname: name.schema, ...relation };
}

function dropOne(object: Node, schema: Schema): DropStmt {
  const { relname, schemaname } = withSchema(relationIn(object), schema);
  const table = schema.tableOf(schema.index(schema.nameOf({ relname, schemaname })));
  const items = [schemaname, relname].flatMap((sval): Node[] =>
    sval === undefined ? [] : [{ String: { sval } }],
  );
  return {
    objects: [{ List: { items } }],
    removeType: 'OBJECT_INDEX',
    behavior: 'DROP_RESTRICT',
    // PostgreSQL cannot drop the index of a partitioned table concurrently.
    ...(table?.partitioned !== true && { concurrent: true }),
  };
}

/** The relation that an element of DROP names. */
export function relationIn(object: Node): RangeVar {
  const names = 'List' in object ? stringsIn(object.List.items) : [];
  const [relname, schemaname] = names.toReversed();
  return { ...(schemaname !== undefined && { schemaname }), relname };
}

/** The system catalogs cannot be rebuilt concurrently. */
function concurrentReindex({ params, ...reindex }: ReindexStmt): string | null {
  const text = statementText({ ReindexStmt: reindex });
  const tablespace = optionText(params, 'tablespace');
  const options = [
    ...(isEnabled(params, 'verbose', false) ? ['VERBOSE'] : []),
    ...(tablespace === undefined ? [] : [`TABLESPACE ${quoteWhereNeeded(tablespace)}`]),
    ...(reindex.kind === 'REINDEX_OBJECT_SYSTEM' ? [] : ['CONCURRENTLY']),
  ];
  if (text === null || options.length === 0) return text;
  return text.replace(/^REINDEX /, `REINDEX (${options.join(', ')}) `);
}

function detachConcurrently(command: Node, schema: Schema): Node[] {
  if (!('AlterTableCmd' in command) || command.AlterTableCmd.subtype !== 'AT_DetachPartition') return [];
  const { def } = command.AlterTableCmd;
  const name = def !== undefined && 'PartitionCmd' in def ? def.PartitionCmd.name : undefined;
  if (name === undefined) return [];
  const partition = { name: withSchema(name, schema), concurrent: true };
  return [{ AlterTableCmd: { ...command.AlterTableCmd, def: { PartitionCmd: partition } } }];
}
