import type { Node } from 'libpg-query';
import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import { type StatementNode, stringsIn } from '../parse-tree.ts';
import { doubtAll, doubtColumnsOf, doubtExtensionUses, doubtUsesOf } from './doubtful-uses.ts';
import type { ApplyContext, Schema } from './schema-model.ts';
import type { Doubt } from './schema-objects.ts';

type Drop = NonNullable<StatementNode['DropStmt']>;

const RELATIONS: Readonly<Record<string, string>> = {
  OBJECT_TABLE: 'TABLE',
  OBJECT_FOREIGN_TABLE: 'TABLE',
  OBJECT_MATVIEW: 'MATERIALIZED VIEW',
  OBJECT_VIEW: 'VIEW',
};

/** Applies DROP and DROP OWNED. */
export function applyDrop(context: ApplyContext, { DropStmt: drop }: StatementNode): void {
  const { schema, place } = context;
  if (drop === undefined) {
    doubtAll(schema, { place, reason: 'DROP OWNED drops it if the role owns it' });
    return;
  }
  const { removeType, objects } = drop;
  for (const object of objects ?? []) {
    const kind = RELATIONS[removeType ?? ''];
    if (removeType === 'OBJECT_SCHEMA')
      dropSchema(context, 'String' in object ? (object.String.sval ?? '') : '');
    else if (removeType === 'OBJECT_INDEX') schema.dropIndex(nameInList(schema, object), place, 'DROP INDEX');
    else if (kind !== undefined) {
      const name = nameInList(schema, object);
      schema.dropTable(name, place, `DROP ${kind} ${name.name}`);
    } else if (drop.behavior === 'DROP_CASCADE') dropOther(context, drop, object);
  }
}

/** Objects of the schema that are not modelled can be used by indexes on tables of other schemas. */
function dropSchema({ schema, place }: ApplyContext, name: string): void {
  schema.dropSchema(name, place);
  doubtUsesOf(schema, name, {
    place,
    reason: `DROP SCHEMA ${name} CASCADE drops it if it needs an object of that schema`,
  });
}

/** Drops a function, a type, an extension or the like. What depends on it is known by its name only. */
function dropOther({ schema, place }: ApplyContext, { removeType }: Drop, object: Node): void {
  const kind = (removeType ?? '').replace('OBJECT_', '').toLowerCase();
  const name = nameOfObject(object) ?? '';
  const doubt: Doubt = {
    place,
    reason: `DROP ${kind.toUpperCase()} ${name} CASCADE drops it if it needs that ${kind}`,
  };
  if (kind === 'extension' || kind === 'access_method') doubtExtensionUses(schema, doubt);
  else {
    doubtUsesOf(schema, name, doubt);
    if (kind === 'type' || kind === 'domain') doubtColumnsOf(schema, name, doubt);
  }
}

/** The last part of the name of a function, a type or another object. */
export function nameOfObject(object: Node | undefined): string | undefined {
  if (object === undefined) return undefined;
  if ('ObjectWithArgs' in object) return stringsIn(object.ObjectWithArgs.objname).at(-1);
  if ('TypeName' in object) return stringsIn(object.TypeName.names).at(-1);
  if ('List' in object) return stringsIn(object.List.items).at(-1);
  return 'String' in object ? object.String.sval : undefined;
}

/** The name of a relation in a list of names, as in DROP and COMMENT. */
export function nameInList(schema: Schema, object: Node): Named {
  const parts = 'List' in object ? stringsIn(object.List.items) : [];
  return schema.nameOf({ schemaname: parts.at(-2), relname: parts.at(-1) });
}
