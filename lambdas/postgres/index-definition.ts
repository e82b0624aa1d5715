import { type CompiledIndex, indexId } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { indexKey, quotedTable, quoteIdentifier } from './identifiers.ts';
import { isUndefined, sqlstateOf } from './sqlstate.ts';

/*
 * PostgreSQL stores a definition in a normalized form, which differs from the text in the registry. To compare the two, the
 * server normalizes the registry's as well: it creates the index on an empty temporary copy of the table, in a transaction
 * that is rolled back.
 */

/** The normalized definition of an index: whether it is unique, and the text from USING on. */
export type Definition = string;

/** pg_get_indexdef and LIKE take a share lock on the table: do not wait long for a session that has it locked. */
const LOCK_TIMEOUT = '1s';

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
}

/**
 * Reads the normalized definitions of indexes of one table, and of registry entries on that table.
 * @param oids the existing indexes
 */
export async function readDefinitions(
  client: Client,
  oids: readonly number[],
  entries: readonly CompiledIndex[],
): Promise<TableDefinitions> {
  const definitions: TableDefinitions = { actual: new Map(), wanted: new Map() };
  // The temporary table is possible although default_transaction_read_only is on, but not on a standby.
  await client.query('begin read write').catch(async () => await client.query('rollback; begin'));
  try {
    await client.query("select set_config('lock_timeout', $1, true)", [LOCK_TIMEOUT]);
    const { rows } = await client.query<IndexText & { oid: number }>(
      `select i.indexrelid::int8::float8 as oid, ${INDEX_TEXT}
         from pg_index i
         join pg_class c on c.oid = i.indexrelid
         join pg_class t on t.oid = i.indrelid
        where i.indexrelid = any ($1::oid[])`,
      [oids],
    );
    for (const row of rows) definitions.actual.set(row.oid, definitionOf(row));
    const existing = new Set(definitions.actual.values());
    // The common case: the registry's text is already in the normalized form.
    const normalized = entries.filter((entry) => existing.has(asWritten(entry)));
    for (const entry of normalized) definitions.wanted.set(indexKey(entry), asWritten(entry));
    const others = entries.filter((entry) => !normalized.includes(entry));
    if (others.length > 0) await normalizeAll(client, others, definitions.wanted);
  } catch {
    // The table is locked, or the role may not create temporary tables: these definitions stay unknown.
  } finally {
    await client.query('rollback').catch(() => {});
  }
  return definitions;
}

async function normalizeAll(
  client: Client,
  entries: readonly CompiledIndex[],
  wanted: Map<string, Definition | null>,
): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  const copy = `pg_temp.${quoteIdentifier(first.table)}`;
  // Another default_table_access_method may not support every kind of index.
  await client.query(`create temporary table ${copy} (like ${quotedTable(first)}) using heap on commit drop`);
  for (const entry of entries) {
    await client.query('savepoint entry');
    try {
      wanted.set(indexKey(entry), await normalize(client, entry, copy));
    } catch (error) {
      // Other errors occur again, and are reported, when the index is built.
      if (isUndefined(sqlstateOf(error))) wanted.set(indexKey(entry), null);
    }
    await client.query('rollback to savepoint entry');
  }
}

async function normalize(client: Client, entry: CompiledIndex, copy: string): Promise<Definition> {
  const unique = entry.unique ? 'unique ' : '';
  await client.query(`create ${unique}index ${COPY_INDEX} on ${copy} ${entry.definition}`);
  const { rows } = await client.query<IndexText>(
    `select ${INDEX_TEXT}
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
       join pg_class t on t.oid = i.indrelid
      where i.indexrelid = 'pg_temp.${COPY_INDEX}'::regclass`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error(`PostgreSQL returned no definition of index ${indexId(entry)}.`);
  return definitionOf(row);
}

/** The statement of an index from pg_get_indexdef, and the names in it as they are quoted there. */
interface IndexText {
  unique: boolean;
  text: string;
  quotedName: string;
  quotedTable: string;
}

const INDEX_TEXT = `i.indisunique as "unique",
  pg_get_indexdef(i.indexrelid) as text,
  quote_ident(c.relname) as "quotedName",
  quote_ident(t.relname) as "quotedTable"`;

/** A name can contain " USING ", so the text is cut after the table's name and not at the first USING. */
function definitionOf({ unique, text, quotedName, quotedTable: table }: IndexText): Definition {
  const afterName = text.indexOf(quotedName) + quotedName.length;
  const definition = text.slice(text.indexOf(`.${table} USING `, afterName) + table.length + 2);
  return `${unique ? 'unique ' : ''}${definition}`;
}

function asWritten(entry: CompiledIndex): Definition {
  return `${entry.unique ? 'unique ' : ''}${entry.definition}`;
}
