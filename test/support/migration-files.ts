import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** SQL by the name of the file without .sql. */
export type Migrations = Record<string, string>;

/** Writes SQL files into the folder `migrations` below a folder. @returns the folder */
export function writeMigrations(parent: string, migrations: Migrations): string {
  const folder = join(parent, 'migrations');
  mkdirSync(folder, { recursive: true });
  for (const [name, sql] of Object.entries(migrations)) writeFileSync(join(folder, `${name}.sql`), sql);
  return folder;
}
