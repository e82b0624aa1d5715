import type { Node, RangeVar } from 'libpg-query';
import type { ObjectName } from './objects.ts';
import type { Schema } from './schema.ts';

/** A name as it is looked up. */
export function nameOf(schema: Schema, relation: RangeVar | undefined): ObjectName {
  return { schema: relation?.schemaname ?? schema.defaultSchema, name: relation?.relname ?? '' };
}

/** The texts of a list of names. */
export function strings(nodes: readonly Node[] | undefined): string[] {
  return (nodes ?? []).flatMap((node) => ('String' in node ? [node.String.sval ?? ''] : []));
}
