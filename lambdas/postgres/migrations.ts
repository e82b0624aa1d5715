import { readdir } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import type { Client } from './client.ts';
import { quoteIdentifier } from './identifiers.ts';

/** node-pg-migrate's table of applied migrations, in schema public. */
export const MIGRATIONS_TABLE = 'pgmigrations';

/** node-pg-migrate's advisory lock, so that its own command line and this product keep out of each other's way. */
export const MIGRATION_LOCK_ID = '7241865325823964';

/** Names of the migration files in a folder, without extension: what node-pg-migrate calls a migration. */
export async function migrationFiles(directory: string): Promise<string[]> {
  const files = await readdir(directory, { withFileTypes: true });
  return files
    .filter((file) => file.isFile() && !file.name.startsWith('.'))
    .map((file) => basename(file.name, extname(file.name)));
}

/** Names of the applied migrations, the oldest first. Where no migration ever ran there are none. */
export async function appliedMigrations(client: Client): Promise<string[]> {
  const { rows: tables } = await client.query<{ present: boolean }>(
    'select to_regclass($1) is not null as present',
    [`public.${quoteIdentifier(MIGRATIONS_TABLE)}`],
  );
  if (!tables[0]?.present) return [];
  const { rows } = await client.query<{ name: string }>(
    `select name from public.${quoteIdentifier(MIGRATIONS_TABLE)} order by run_on, id`,
  );
  return rows.map((row) => row.name);
}

/** Files that are not applied yet, by name. */
export async function pendingMigrations(client: Client, directory: string): Promise<string[]> {
  const applied = new Set(await appliedMigrations(client));
  return (await migrationFiles(directory)).filter((name) => !applied.has(name)).toSorted();
}
