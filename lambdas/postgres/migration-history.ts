import { readdir } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { type Client, withTransaction } from './client.ts';
import { quotedTable, type Table } from './identifiers.ts';
import { useOwnSearchPath, withConfiguredSearchPath } from './search-path.ts';
import { INVALID_SCHEMA_NAME, sqlstateOf, UNDEFINED_TABLE } from './sqlstate.ts';
import { holdSchemaOf, lockTrustedTable, type WriteMode, withTrustedTable } from './trusted-table.ts';

/** node-pg-migrate's table of applied migrations, in schema public. */
export const MIGRATIONS_TABLE = 'pgmigrations';

export const MIGRATIONS: Table = { schema: 'public', table: MIGRATIONS_TABLE };

/** Names of the migration files in a folder, without extension, in the order in which they are applied. */
export async function migrationFiles(directory: string): Promise<string[]> {
  const files = await readdir(directory, { withFileTypes: true });
  return files
    .filter((file) => file.isFile() && !file.name.startsWith('.'))
    .map((file) => basename(file.name, extname(file.name)))
    .toSorted(inOrder);
}

/** The order of node-pg-migrate: by the number at the beginning of the name, then by name. */
function inOrder(a: string, b: string): number {
  return (
    numberOf(a) - numberOf(b) ||
    a.localeCompare(b, undefined, { numeric: true, sensitivity: 'variant', ignorePunctuation: true })
  );
}

/** 17 digits are a timestamp in UTC, which is compared with numbers of milliseconds since 1970. */
function numberOf(name: string): number {
  const digits = /^\d+/.exec(name)?.[0] ?? '0';
  const [, year, month, day, hours, minutes, seconds, ms] =
    /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d{3})$/.exec(digits) ?? [];
  if (year === undefined) return Number(digits);
  return Date.parse(`${year}-${month}-${day}T${hours}:${minutes}:${seconds}.${ms}Z`);
}

/**
 * Finds a conflict between the applied migrations and the files: an applied file that was deleted or renamed, or a new file
 * that comes before applied ones. When all files are applied, further applied migrations (of a newer release) are no conflict.
 * @param files in their order
 * @returns a message with the fix. Null: no conflict
 */
export function historyProblem(applied: readonly string[], files: readonly string[]): string | null {
  const at = applied.findIndex((name, place) => files[place] !== undefined && files[place] !== name);
  const [ran, file] = [applied[at], files[at]];
  if (ran === undefined || file === undefined) return null;
  if (!files.includes(ran)) {
    return (
      `Migration ${ran} was applied to this database, but there is no file ${ran}.sql. Restore the file with this name. If you ` +
      `removed it deliberately, delete its record: delete from public.${MIGRATIONS_TABLE} where name = '${ran.replaceAll("'", "''")}';`
    );
  }
  if (!applied.includes(file)) {
    return (
      `Migration ${file}.sql is not applied, but comes before ${ran}, which is applied. Migrations are applied in the ` +
      `order of their names: rename it so that it comes after ${applied.at(-1)}.`
    );
  }
  return `Migration ${ran} was applied to this database before ${file}, but comes after it in the order of the names. Restore the original names of the files.`;
}

/**
 * Uses the time zone of the role until the end of the transaction. node-pg-migrate records a time without a time zone and
 * sorts by it. In another zone than that of a person's session, a newer migration could come before an older one.
 * @returns the time zone that was in use
 */
export async function useTimeZoneOfRole(client: Client): Promise<string> {
  const { rows } = await client.query<{ zone: string }>("select current_setting('TimeZone') as zone");
  await client.query('set local timezone to default');
  return rows[0]?.zone ?? 'UTC';
}

/** Uses a time zone until the end of the transaction. */
export async function useTimeZone(client: Client, zone: string): Promise<void> {
  await client.query("select set_config('TimeZone', $1, true)", [zone]);
}

/**
 * Names of the applied migrations, the oldest first. Empty: no migration was ever applied.
 * @throws Refused when a role that is not trusted controls the table
 */
export async function appliedMigrations(client: Client): Promise<string[]> {
  try {
    return await withTrustedTable(
      client,
      MIGRATIONS,
      'access share',
      async () => await readLockedHistory(client),
    );
  } catch (error) {
    if (sqlstateOf(error) !== UNDEFINED_TABLE && sqlstateOf(error) !== INVALID_SCHEMA_NAME) throw error;
    return [];
  }
}

/** The same, in a transaction that has locked the table. */
export async function readLockedHistory(client: Client): Promise<string[]> {
  const { rows } = await client.query<{ name: string }>(
    `select name from ${quotedTable(MIGRATIONS)} order by run_on, id`,
  );
  return rows.map((row) => row.name);
}

/**
 * Runs node-pg-migrate in one transaction, in which nobody can replace its table. It reads the table before it begins its own
 * transaction; its BEGIN has no effect then. The table is created first, as node-pg-migrate does, and it remains when the
 * migrations fail.
 * @throws Refused when a role that is not trusted controls the table
 */
export async function withMigrationsTable<T>(
  client: Client,
  mode: WriteMode,
  run: () => Promise<T>,
): Promise<T> {
  await withTransaction(client, async () => {
    await holdSchemaOf(client, MIGRATIONS);
    const { rows } = await client.query<{ present: boolean }>(
      'select to_regclass($1) is not null as present',
      [quotedTable(MIGRATIONS)],
    );
    if (rows[0]?.present) return;
    await client.query(
      `create table ${quotedTable(MIGRATIONS)} (id serial primary key, name varchar(255) not null, run_on timestamp not null)`,
    );
  });
  // A file that rolls the transaction back continues with the search path from before it.
  return await withConfiguredSearchPath(
    client,
    async () =>
      await withTransaction(client, async () => {
        await useOwnSearchPath(client);
        await lockTrustedTable(client, MIGRATIONS, mode);
        return await run();
      }),
  );
}

/** The files that are not applied yet, in their order. */
export function pendingOf(applied: readonly string[], files: readonly string[]): string[] {
  return files.filter((name) => !applied.includes(name));
}
