import type { Client } from '../postgres/client.ts';
import { quotedTable, quoteIdentifier, type Table } from '../postgres/identifiers.ts';
import {
  describeDatabaseError,
  INSUFFICIENT_PRIVILEGE,
  INVALID_SCHEMA_NAME,
  isConnectionError,
  sqlstateOf,
  UNDEFINED_COLUMN,
  UNDEFINED_TABLE,
} from '../postgres/sqlstate.ts';
import { withTrustedTable } from '../postgres/trusted-table.ts';
import { LockNotAvailable, messageOf, Refused } from '../shared/errors.ts';
import { listed } from '../shared/text.ts';
import type { ToolMigrations } from '../shared/tool-migrations.ts';
import type { Comparison, Row } from './comparison.ts';
import { TOOLS } from './tools.ts';

/**
 * Compares the shipped migrations of a tool with its table. What cannot be read is `unknown`, with the reason: then the tool
 * decides in the window.
 */
export async function compareMigrations(
  client: Client,
  { tool, schema, table, migrations }: ToolMigrations,
): Promise<Comparison> {
  const schemas = schema === null ? await schemasOf(client, table) : [schema];
  const [only, ...others] = schemas;
  // The tool has not run yet.
  if (only === undefined) return { pending: migrations };
  const unknown = (reason: string): Comparison => ({ pending: [], unknown: reason });
  if (others.length > 0) {
    return unknown(
      `${listed(schemas)} each have a table ${table}: name one in migrations.pending.table, as SCHEMA.TABLE`,
    );
  }
  const found: Table = { schema: only, table };
  const { columns, compare } = TOOLS[tool];
  const name = `${only}.${table}`;
  try {
    return compare(migrations, await rowsOf(client, found, columns), name);
  } catch (error) {
    if (error instanceof Refused || error instanceof LockNotAvailable) return unknown(messageOf(error));
    const sqlstate = sqlstateOf(error);
    if (sqlstate === undefined || isConnectionError(error)) throw error;
    if (sqlstate === UNDEFINED_TABLE || sqlstate === INVALID_SCHEMA_NAME) return { pending: migrations };
    const reason = describeDatabaseError(error);
    if (sqlstate === UNDEFINED_COLUMN) return unknown(`${name} is not the table of ${tool}: ${reason}`);
    const grants = `GRANT USAGE ON SCHEMA ${quoteIdentifier(only)} and GRANT SELECT ON ${quotedTable(found)} to the deploy role`;
    return unknown(
      `${name} cannot be read: ${reason}${sqlstate === INSUFFICIENT_PRIVILEGE ? ` (${grants})` : ''}`,
    );
  }
}

/** The schemas that have such a table. */
async function schemasOf(client: Client, table: string): Promise<string[]> {
  const { rows } = await client.query<{ schema: string }>(
    `select n.nspname as schema
       from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.relname = $1::name and c.relkind in ('r', 'p', 'v', 'm', 'f') and n.nspname !~ '^pg_'
      order by 1`,
    [table],
  );
  return rows.map(({ schema }) => schema);
}

async function rowsOf(client: Client, table: Table, columns: readonly string[]): Promise<Row[]> {
  return await withTrustedTable(client, table, 'access share', async () => {
    const { rows } = await client.query<Row>(
      `select ${columns.map(quoteIdentifier).join(', ')} from only ${quotedTable(table)}`,
    );
    return rows;
  });
}
