import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { MANIFEST_FILE, type MigrationManifest } from '../../lambdas/shared/migration-manifest.ts';
import { type ShippedStatements, STATEMENTS_FILE } from '../../lambdas/shared/migration-statements.ts';
import { TOOL_MIGRATIONS_FILE, type ToolMigrations } from '../../lambdas/shared/tool-migrations.ts';

/** The migrations of one folder as the functions get them. ship-migrations.ts reads them. */
export interface ShippedMigrations {
  /** The text of each file, by its name without .sql. */
  readonly files: Readonly<Record<string, string>>;
  /** The statements of each file, so that the function can report which one failed. */
  readonly statements: ShippedStatements;
  /** The hash of each file, so that preflight refuses files that were not checked at synth. */
  readonly manifest: MigrationManifest;
}

export const NO_MIGRATIONS: ShippedMigrations = { files: {}, statements: {}, manifest: {} };

/** Writes the SQL files into the folder of a function, unchanged. */
export function writeMigrations({ files }: ShippedMigrations, folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, sql] of Object.entries(files)) writeFileSync(join(folder, `${name}.sql`), sql);
}

export function writeStatements({ statements }: ShippedMigrations, folder: string): void {
  writeFileSync(join(folder, STATEMENTS_FILE), JSON.stringify(statements));
}

export function writeManifest({ manifest }: ShippedMigrations, folder: string): void {
  writeFileSync(join(folder, MANIFEST_FILE), JSON.stringify(manifest));
}

/** Writes what is compared with the table of the application's own tool. @param migrations null: the environment names none */
export function writeToolMigrations(migrations: ToolMigrations | null, folder: string): void {
  if (migrations !== null) writeFileSync(join(folder, TOOL_MIGRATIONS_FILE), JSON.stringify(migrations));
}
