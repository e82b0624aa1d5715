import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import type { StatementNode } from '../parse-tree.ts';
import { nameOfObject } from './apply-drop.ts';
import { doubtUsesOf } from './doubtful-uses.ts';
import type { ApplyContext, Schema } from './schema-model.ts';

type Rename = NonNullable<StatementNode['RenameStmt']>;
type SetSchema = NonNullable<StatementNode['AlterObjectSchemaStmt']>;

/** Applies ALTER … RENAME. */
export function applyRename(context: ApplyContext, statement: Rename): void {
  const { schema } = context;
  const { renameType, relation, subname = '', newname = '' } = statement;
  const name = schema.nameOf(relation);
  switch (renameType) {
    case 'OBJECT_COLUMN':
      schema.renameColumn(name, subname, newname);
      return;
    case 'OBJECT_INDEX':
    case 'OBJECT_TABLE':
    case 'OBJECT_MATVIEW':
    case 'OBJECT_VIEW':
    case 'OBJECT_FOREIGN_TABLE':
      // ALTER TABLE renames indexes too.
      if (schema.index(name) !== undefined) renameIndex(schema, name, newname);
      else if (renameType !== 'OBJECT_INDEX') schema.moveTable(name, { name: newname });
      return;
    case 'OBJECT_TABCONSTRAINT':
      renameConstraint(schema, name, subname, newname);
      return;
    case 'OBJECT_SCHEMA':
      for (const table of schema.relationsIn(subname)) schema.moveTable(table, { schema: newname });
      doubtOldName(context, subname, renamedTo(newname));
      return;
    case 'OBJECT_FUNCTION':
    case 'OBJECT_ROUTINE':
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN':
    case 'OBJECT_COLLATION':
    case 'OBJECT_OPCLASS':
    case 'OBJECT_ACCESS_METHOD':
      doubtOldName(context, nameOfObject(statement.object) ?? '', renamedTo(newname));
  }
}

/** Applies ALTER … SET SCHEMA. */
export function applySetSchema(context: ApplyContext, statement: SetSchema): void {
  const { schema } = context;
  const { objectType, relation, newschema = '', object } = statement;
  if (['OBJECT_TABLE', 'OBJECT_MATVIEW', 'OBJECT_VIEW', 'OBJECT_FOREIGN_TABLE'].includes(objectType ?? ''))
    schema.moveTable(schema.nameOf(relation), { schema: newschema });
  else if (object !== undefined)
    doubtOldName(context, nameOfObject(object) ?? '', `moves to the schema ${newschema}`);
}

/** Applies ALTER TYPE … RENAME VALUE. */
export function applyRenameValue(
  context: ApplyContext,
  statement: NonNullable<StatementNode['AlterEnumStmt']>,
): void {
  const { oldVal, newVal = '' } = statement;
  if (oldVal !== undefined) doubtOldName(context, oldVal, renamedTo(newVal));
}

function renamedTo(name: string): string {
  return `is renamed to ${name}`;
}

/** The statement of an index contains the old name of a function, a type, a schema or the like. */
function doubtOldName({ schema, place }: ApplyContext, name: string, change: string): void {
  doubtUsesOf(schema, name, { place, reason: `its statement contains ${name}, which ${change} later` });
}

function renameIndex(schema: Schema, name: Named, to: string): void {
  const index = schema.index(name);
  // The constraint has the name of its index.
  if (index?.constraint != null && !schema.isInDoubt(index)) index.constraint = to;
  schema.moveIndex(name, { name: to });
}

function renameConstraint(schema: Schema, table: Named, from: string, to: string): void {
  const own = schema.index({ schema: table.schema, name: from });
  if (own?.constraint === from) renameIndex(schema, own, to);
  schema.renameForeignKey(table, from, to);
}
