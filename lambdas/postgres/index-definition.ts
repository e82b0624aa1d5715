import { type CompiledIndex, indexId } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { indexKey, quotedTable, quoteIdentifier } from './identifiers.ts';
import { isUndefined, sqlstateOf } from './sqlstate.ts';

/*
 * The catalog's text of a definition differs from what was written, so the server itself writes both sides: the registry's
 * statement is run on an empty temporary copy of the table, in a transaction that is rolled back.
 */

/** What two indexes of one table have in common when they are the same: uniqueness, and the text from USING on. */
export type Definition = string;

/** Both pg_get_indexdef and LIKE take a share lock on the table. Who holds it exclusively is not waited for. */
const LOCK_TIMEOUT = '1s';

/** Name of the index on the copy. The copy has the table's own name, because a definition may name its columns by it. */
const COPY_INDEX = 'pg_deploy_step_like';

/** The definitions of one table's indexes, the ones there are and the ones that the registry wants. */
export interface TableDefinitions {
  /** By oid. An index of which nothing could be learned is not in it. */
  actual: Map<number, Definition>;
  /**
   * By `indexKey`. Null: the table lacks a column or the server a function that it names, so no index can be like it. What
   * the server cannot look at now (locked, no right to temporary tables) is not in it.
   */
  wanted: Map<string, Definition | null>;
}

/**
 * Reads how the server writes the definitions of some indexes of one table, and of registry entries on that table.
 * @param oids indexes that are there
 */
export async function readDefinitions(
  client: Client,
  oids: readonly number[],
  entries: readonly CompiledIndex[],
): Promise<TableDefinitions> {
  const definitions: TableDefinitions = { actual: new Map(), wanted: new Map() };
  await client.query('begin');
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
    const written = new Set(definitions.actual.values());
    // To the letter what the registry says: the common case, and nothing need be tried.
    const alike = entries.filter((entry) => written.has(asWritten(entry)));
    for (const entry of alike) definitions.wanted.set(indexKey(entry), asWritten(entry));
    const others = entries.filter((entry) => !alike.includes(entry));
    if (others.length > 0) await readCanonical(client, others, definitions.wanted);
  } catch {
    // Locked, or without the right to temporary tables: what is not known is told as such.
  } finally {
    await client.query('rollback').catch(() => {});
  }
  return definitions;
}

async function readCanonical(
  client: Client,
  entries: readonly CompiledIndex[],
  wanted: Map<string, Definition | null>,
): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  const copy = `pg_temp.${quoteIdentifier(first.table)}`;
  await client.query(`create temporary table ${copy} (like ${quotedTable(first)}) on commit drop`);
  for (const entry of entries) {
    await client.query('savepoint entry');
    try {
      wanted.set(indexKey(entry), await canonicalDefinition(client, entry, copy));
    } catch (error) {
      // What cannot be built here fails again, and is reported, where it is really built.
      if (isUndefined(sqlstateOf(error))) wanted.set(indexKey(entry), null);
    }
    await client.query('rollback to savepoint entry');
  }
}

async function canonicalDefinition(client: Client, entry: CompiledIndex, copy: string): Promise<Definition> {
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
  if (row === undefined) throw new Error(`The server says nothing of ${indexId(entry)}.`);
  return definitionOf(row);
}

/** The server's text of an index, and its names as they are quoted in there. */
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

/** Names may hold anything, " USING " too, so the text is cut after the table's name and not at the first USING. */
function definitionOf({ unique, text, quotedName, quotedTable: table }: IndexText): Definition {
  const afterName = text.indexOf(quotedName) + quotedName.length;
  const definition = text.slice(text.indexOf(`.${table} USING `, afterName) + table.length + 2);
  return `${unique ? 'unique ' : ''}${definition}`;
}

function asWritten(entry: CompiledIndex): Definition {
  return `${entry.unique ? 'unique ' : ''}${entry.definition}`;
}
