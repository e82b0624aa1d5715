import { type CompiledIndex, indexId } from '../shared/registry.ts';
import { indexKey } from './catalog.ts';
import type { Client } from './client.ts';
import { quotedTable } from './identifiers.ts';

/*
 * The catalog's text of a definition differs from what was written, so the server itself writes both sides: the registry's
 * statement is run on an empty temporary copy of the table, in a transaction that is rolled back.
 */

/** What two indexes of one table have in common when they are the same: uniqueness, and the text from USING on. */
export type Definition = string;

/** Both pg_get_indexdef and LIKE take a share lock on the table. Who holds it exclusively is not waited for. */
const LOCK_TIMEOUT = '1s';

const COPY = 'pg_deploy_step_like';

/** The definitions of one table's indexes, the ones there are and the ones that the registry wants. */
export interface TableDefinitions {
  /** By oid. An index of which nothing could be learned is not in it. */
  actual: Map<number, Definition>;
  /** By `indexKey`. What the server cannot build (no such column) or look at now (locked) is not in it. */
  wanted: Map<string, Definition>;
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
    const { rows } = await client.query<{ oid: number; unique: boolean; indexdef: string }>(
      `select indexrelid::int8::float8 as oid, indisunique as "unique", pg_get_indexdef(indexrelid) as indexdef
         from pg_index
        where indexrelid = any ($1::oid[])`,
      [oids],
    );
    for (const row of rows) definitions.actual.set(row.oid, definitionOf(row.unique, row.indexdef));
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
  wanted: Map<string, Definition>,
): Promise<void> {
  const [first] = entries;
  if (first === undefined) return;
  await client.query(`create temporary table ${COPY} (like ${quotedTable(first)}) on commit drop`);
  for (const entry of entries) {
    await client.query('savepoint entry');
    try {
      wanted.set(indexKey(entry), await canonicalDefinition(client, entry));
    } catch {
      // What cannot be built here fails again, and is reported, where it is really built.
    }
    await client.query('rollback to savepoint entry');
  }
}

async function canonicalDefinition(client: Client, entry: CompiledIndex): Promise<Definition> {
  const unique = entry.unique ? 'unique ' : '';
  await client.query(`create ${unique}index ${COPY}_index on pg_temp.${COPY} ${entry.definition}`);
  const { rows } = await client.query<{ indexdef: string }>(
    `select pg_get_indexdef('pg_temp.${COPY}_index'::regclass) as indexdef`,
  );
  const indexdef = rows[0]?.indexdef;
  if (indexdef === undefined) throw new Error(`The server says nothing of ${indexId(entry)}.`);
  return definitionOf(entry.unique, indexdef);
}

function definitionOf(unique: boolean, indexdef: string): Definition {
  return `${unique ? 'unique ' : ''}${indexdef.slice(indexdef.indexOf(' USING ') + 1)}`;
}

function asWritten(entry: CompiledIndex): Definition {
  return `${entry.unique ? 'unique ' : ''}${entry.definition}`;
}
