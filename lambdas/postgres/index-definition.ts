import * as z from '../shared/zod.ts';
import type { Client } from './client.ts';
import { splitDefinition } from './definition-text.ts';
import type { Named, Table } from './identifiers.ts';
import { readUnlocked } from './unlocked-tables.ts';

/*
 * PostgreSQL stores a definition in a normalized form, which differs from the text in the registry. This file reads the
 * definitions of existing indexes. How those of the registry are normalized is in normalize-definitions.ts.
 */

/** What is compared of a definition. */
export interface ComparedDefinition {
  /** Whether it is unique, and the text from USING on. */
  text: string;
  unique: boolean;
  /** The text from USING on without storage options: method, columns and INCLUDE. */
  structure: string;
  /** The text from ` WHERE ` on. Empty: the index is not partial. */
  predicate: string;
  /** Storage options, as in pg_class: `fillfactor=70`. */
  options: string[];
}

/** The normalized definition of an index. The owner of the table can falsify one of an entry: see as-owner.ts. */
export interface Definition extends ComparedDefinition {
  /** Access method, such as btree. */
  method: string;
  /** CLUSTER can use indexes of this method. */
  clusterable: boolean;
  tablespace: string;
  /** Key columns of the table, without expressions. */
  keys: { column: string; nullable: boolean }[];
  /** Number of key columns that are expressions. */
  expressions: number;
}

/**
 * Whether an existing index has a definition of the registry. Storage options that the registry does not name are the
 * owner's: they make no difference.
 */
export function isSameDefinition(wanted: ComparedDefinition, existing: ComparedDefinition): boolean {
  return (
    wanted.unique === existing.unique &&
    wanted.structure === existing.structure &&
    wanted.predicate === existing.predicate &&
    wanted.options.every((option) => existing.options.includes(option))
  );
}

/** SQL for the default tablespace of the database. */
export const DATABASE_TABLESPACE =
  '(select s.spcname from pg_tablespace s join pg_database d on d.dattablespace = s.oid where d.datname = current_database())';

/** SQL for the tablespace of the relation `c`. */
export const TABLESPACE = `coalesce((select s.spcname from pg_tablespace s where s.oid = c.reltablespace), ${DATABASE_TABLESPACE})`;

/** Reads the definition of an existing index. Undefined: no index has the name. */
export async function readDefinition(client: Client, index: Named): Promise<Definition | undefined> {
  return (await readDefinitions(client, [index]))[0]?.definition;
}

/** The same for many indexes, in one query. Names that no index has are omitted. */
export async function readDefinitions(
  client: Client,
  indexes: readonly Named[],
): Promise<{ index: Named; definition: Definition }[]> {
  const { rows } = await client.query<IndexRow & Named>(
    `select wanted.schema, wanted.name, ${INDEX_ROW} ${FROM_INDEX}
       join pg_namespace n on n.oid = c.relnamespace
       join unnest($1::text[], $2::text[]) as wanted (schema, name) on wanted.schema = n.nspname and wanted.name = c.relname`,
    [indexes.map((index) => index.schema), indexes.map((index) => index.name)],
  );
  return rows.map(({ schema, name, ...row }) => ({ index: { schema, name }, definition: definitionOf(row) }));
}

/**
 * Reads the definitions of existing indexes, by oid. Those that cannot be read are omitted.
 * @returns `locked`: the tables whose definitions were not read, because another session has locked them, by `tableKey`
 */
export async function readExistingDefinitions(
  client: Client,
  indexes: readonly (Table & { oid: number })[],
): Promise<{ definitions: Map<number, ComparedDefinition>; locked: Set<string> }> {
  const { rows, locked } = await readUnlocked(client, indexes, async (some) => {
    const answer = await client.query<ComparedRow & { oid: number }>(
      `select i.indexrelid::int8::float8 as oid, ${COMPARED_ROW}
         from pg_index i
         join pg_class c on c.oid = i.indexrelid
         join pg_class t on t.oid = i.indrelid
        where i.indexrelid = any ($1::oid[])`,
      [some.map(({ oid }) => oid)],
    );
    return answer.rows;
  });
  // The statement of an index that was dropped meanwhile is null.
  const found = rows.flatMap(({ oid, statement, ...row }) =>
    statement === null ? [] : [[oid, definitionOf({ statement, ...row })] as const],
  );
  return { definitions: new Map(found), locked };
}

/** The statement of an index from pg_get_indexdef, and the names in it as they are quoted there. */
interface ComparedRow {
  statement: string | null;
  quotedName: string;
  quotedTable: string;
  unique: boolean;
  options: string[];
}

const COMPARED_ROW = `
  i.indisunique as "unique",
  pg_get_indexdef(i.indexrelid) as statement,
  quote_ident(c.relname) as "quotedName",
  quote_ident(t.relname) as "quotedTable",
  coalesce(c.reloptions, '{}') as options`;

/** The same, and the other properties of a definition. */
export const indexRowSchema = z.object({
  statement: z.string(),
  quotedName: z.string(),
  quotedTable: z.string(),
  unique: z.boolean(),
  options: z.array(z.string()),
  method: z.string(),
  clusterable: z.boolean(),
  tablespace: z.string(),
  keys: z.array(z.object({ column: z.string(), nullable: z.boolean() })),
  expressions: z.number(),
});

type IndexRow = z.infer<typeof indexRowSchema>;

/** SQL for the columns of `indexRowSchema`, with FROM_INDEX. */
export const INDEX_ROW = `
  ${COMPARED_ROW},
  am.amname as method,
  pg_index_has_property(i.indexrelid, 'clusterable') as clusterable,
  ${TABLESPACE} as tablespace,
  (select coalesce(json_agg(json_build_object('column', a.attname, 'nullable', not a.attnotnull) order by k), '[]')
     from generate_series(0, i.indnkeyatts - 1) k
     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k]) as keys,
  (select count(*)::int from generate_series(0, i.indnkeyatts - 1) k where i.indkey[k] = 0) as expressions`;

export const FROM_INDEX = `
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_class t on t.oid = i.indrelid
  join pg_am am on am.oid = c.relam`;

/** A name can contain " USING ", so the text is cut after the table's name and not at the first USING. */
export function definitionOf<R extends ComparedRow & { statement: string }>({
  statement,
  quotedName,
  quotedTable: table,
  ...row
}: R): Omit<R, 'statement' | 'quotedName' | 'quotedTable'> & ComparedDefinition {
  const afterName = statement.indexOf(quotedName) + quotedName.length;
  const definition = statement.slice(statement.indexOf(`.${table} USING `, afterName) + table.length + 2);
  return { ...row, text: `${row.unique ? 'unique ' : ''}${definition}`, ...splitDefinition(definition) };
}
