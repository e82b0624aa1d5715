import { type CompiledIndex, indexId, tableId } from '../shared/registry.ts';
import * as z from '../shared/zod.ts';
import { becomeOwner, type ComparingRole, readComparingRole, runAsOwner } from './as-owner.ts';
import type { Client } from './client.ts';
import { splitDefinition, splitTablespace } from './definition-text.ts';
import { indexKey, type Named, quotedTable, quoteIdentifier } from './identifiers.ts';
import { inSearchPath, resolvedSearchPath } from './search-path.ts';
import { isUndefined, LOCK_NOT_AVAILABLE, sqlstateOf, UNDEFINED_COLUMN } from './sqlstate.ts';

/*
 * PostgreSQL stores a definition in a normalized form, which differs from the text in the registry. To compare the two, the
 * server normalizes the registry's as well: it creates the index on an empty temporary copy of the table, in a transaction
 * that is rolled back. That can run functions, so it is done as the owner of the table.
 */

/** The normalized definition of an index. The owner of the table can falsify one that was read with `runAsOwner`. */
export interface Definition {
  /** Whether it is unique, and the text from USING on. */
  text: string;
  unique: boolean;
  /** The text from USING on without storage options: method, columns and INCLUDE. */
  structure: string;
  /** The text from ` WHERE ` on. Empty: the index is not partial. */
  predicate: string;
  /** Storage options, as in pg_class: `fillfactor=70`. */
  options: string[];
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
export function isSameDefinition(wanted: Definition, existing: Definition): boolean {
  return (
    wanted.unique === existing.unique &&
    wanted.structure === existing.structure &&
    wanted.predicate === existing.predicate &&
    wanted.options.every((option) => existing.options.includes(option))
  );
}

/** pg_get_indexdef and LIKE take a share lock on the table: do not wait long for a session that has it locked. */
export const LOCK_TIMEOUT_SECONDS = 1;

/** SQL for the default tablespace of the database. */
export const DATABASE_TABLESPACE =
  '(select s.spcname from pg_tablespace s join pg_database d on d.dattablespace = s.oid where d.datname = current_database())';

/** SQL for the tablespace of the relation `c`. */
export const TABLESPACE = `coalesce((select s.spcname from pg_tablespace s where s.oid = c.reltablespace), ${DATABASE_TABLESPACE})`;

/** Name of the index on the copy. The copy has the table's own name, because a definition can qualify columns with it. */
const COPY_INDEX = 'pg_deploy_step_like';

/** The definitions of the existing indexes of one table, and of those that the registry defines for it. */
export interface TableDefinitions {
  /** By oid. Indexes whose definition could not be read are omitted. */
  actual: Map<number, Definition>;
  /**
   * By `indexKey`. Null: the definition names a column or function that does not exist, so no index can match it. Entries
   * that cannot be normalized now (table locked, no TEMPORARY privilege) are omitted.
   */
  wanted: Map<string, Definition | null>;
  /** Definitions could not be read, because another session has locked the table. */
  locked: boolean;
  /** Why definitions of the registry could not be normalized, and what changes that. Null: they could. */
  notComparable: string | null;
}

/**
 * Reads the normalized definitions of indexes of one table, and of registry entries on that table.
 * @param oids the existing indexes
 * @param notComparable keys of the entries that must not be normalized: see untrusted-code.ts
 */
export async function readDefinitions(
  client: Client,
  oids: readonly number[],
  entries: readonly CompiledIndex[],
  notComparable: ReadonlyMap<string, string>,
): Promise<TableDefinitions> {
  const definitions: TableDefinitions = {
    ...{ actual: new Map(), wanted: new Map(), locked: false, notComparable: null },
  };
  // The temporary table is possible although default_transaction_read_only is on, but not on a standby.
  await client.query('begin read write').catch(async () => await client.query('rollback; begin'));
  try {
    await client.query("select set_config('lock_timeout', $1, true)", [`${LOCK_TIMEOUT_SECONDS}s`]);
    const { rows } = await client.query<IndexRow & { oid: number }>(
      `select i.indexrelid::int8::float8 as oid, ${INDEX_ROW} ${FROM_INDEX} where i.indexrelid = any ($1::oid[])`,
      [oids],
    );
    for (const { oid, ...row } of rows) definitions.actual.set(oid, definitionOf(row));
    const byText = new Map(
      [...definitions.actual.values()].map((definition) => [definition.text, definition]),
    );
    // The common case: the registry's text is already in the normalized form.
    const others = entries.filter((entry) => {
      const same = byText.get(asWritten(entry));
      if (same !== undefined) definitions.wanted.set(indexKey(entry), same);
      return same === undefined && !notComparable.has(indexKey(entry));
    });
    if (others.length > 0) await normalizeAll(client, others, definitions);
  } catch (error) {
    // These definitions stay unknown.
    definitions.locked = sqlstateOf(error) === LOCK_NOT_AVAILABLE;
  } finally {
    await client.query('rollback').catch(() => {});
  }
  return definitions;
}

/** Reads the definition of an existing index. Undefined: no index has the name. */
export async function readDefinition(client: Client, index: Named): Promise<Definition | undefined> {
  const { rows } = await client.query<IndexRow>(
    `select ${INDEX_ROW} ${FROM_INDEX}
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [index.schema, index.name],
  );
  return rows[0] && definitionOf(rows[0]);
}

async function normalizeAll(
  client: Client,
  entries: readonly CompiledIndex[],
  definitions: TableDefinitions,
): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  const role = await readComparingRole(client, first);
  if (role === undefined) return;
  if (role.obstacle !== null) {
    definitions.notComparable = `The indexes of ${tableId(first)} are not compared with the registry, only their names: ${role.obstacle}`;
    return;
  }
  const copy = `pg_temp.${quoteIdentifier(first.table)}`;
  // The index of the copy is in the default tablespace, as the real one is without a TABLESPACE clause.
  await client.query("select set_config('temp_tablespaces', '', true)");
  // Another default_table_access_method may not support every kind of index.
  await becomeOwner(
    client,
    role.name,
    `create temporary table ${copy} (like ${quotedTable(first)}) using heap on commit drop`,
  );
  for (const entry of entries) {
    try {
      definitions.wanted.set(indexKey(entry), await normalize(client, entry, copy));
    } catch (error) {
      // Other errors occur again, and are reported, when the index is built.
      if (isMissing(error, role)) definitions.wanted.set(indexKey(entry), null);
    }
  }
}

/** Whether a definition names a column or a function that does not exist. A role does not find what is in a schema that it may not use. */
function isMissing(error: unknown, { usesSearchPath }: ComparingRole): boolean {
  const sqlstate = sqlstateOf(error);
  return isUndefined(sqlstate) && (usesSearchPath || sqlstate === UNDEFINED_COLUMN);
}

async function normalize(client: Client, entry: CompiledIndex, copy: string): Promise<Definition> {
  const unique = entry.unique ? 'unique ' : '';
  // In a build the deploy role creates the index in its tablespace. The owner of the table may not be allowed to.
  const { definition, tablespace } = splitTablespace(entry.definition);
  // As the owner, "$user" would be another schema than in the build.
  const path = await resolvedSearchPath(client);
  const answer = await runAsOwner(client, {
    statement: inSearchPath(path, `create ${unique}index ${COPY_INDEX} on ${copy} ${definition}`),
    result: `select to_jsonb(one)::text
               from (select ${INDEX_ROW} ${FROM_INDEX} where i.indexrelid = 'pg_temp.${COPY_INDEX}'::regclass) one`,
  });
  if (answer === null) throw new Error(`PostgreSQL returned no definition of index ${indexId(entry)}.`);
  const row = indexRowSchema.parse(JSON.parse(answer));
  return definitionOf({ ...row, tablespace: tablespace ?? row.tablespace });
}

/** The statement of an index from pg_get_indexdef, the names in it as they are quoted there, and its other properties. */
const indexRowSchema = z.object({
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

const INDEX_ROW = `
  i.indisunique as "unique",
  pg_get_indexdef(i.indexrelid) as statement,
  quote_ident(c.relname) as "quotedName",
  quote_ident(t.relname) as "quotedTable",
  coalesce(c.reloptions, '{}') as options,
  am.amname as method,
  pg_index_has_property(i.indexrelid, 'clusterable') as clusterable,
  ${TABLESPACE} as tablespace,
  (select coalesce(json_agg(json_build_object('column', a.attname, 'nullable', not a.attnotnull) order by k), '[]')
     from generate_series(0, i.indnkeyatts - 1) k
     join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k]) as keys,
  (select count(*)::int from generate_series(0, i.indnkeyatts - 1) k where i.indkey[k] = 0) as expressions`;

const FROM_INDEX = `
  from pg_index i
  join pg_class c on c.oid = i.indexrelid
  join pg_class t on t.oid = i.indrelid
  join pg_am am on am.oid = c.relam`;

/** A name can contain " USING ", so the text is cut after the table's name and not at the first USING. */
function definitionOf({ statement, quotedName, quotedTable: table, ...row }: IndexRow): Definition {
  const afterName = statement.indexOf(quotedName) + quotedName.length;
  const definition = statement.slice(statement.indexOf(`.${table} USING `, afterName) + table.length + 2);
  return { ...row, text: `${row.unique ? 'unique ' : ''}${definition}`, ...splitDefinition(definition) };
}

function asWritten(entry: CompiledIndex): string {
  return `${entry.unique ? 'unique ' : ''}${entry.definition}`;
}
