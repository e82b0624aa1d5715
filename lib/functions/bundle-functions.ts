import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type CompiledRegistry, MIGRATIONS_FOLDER, REGISTRY_FILE } from '../../lambdas/shared/registry.ts';
import type { ToolMigrations } from '../../lambdas/shared/tool-migrations.ts';
import { functionCode } from './function-code.ts';
import { CODE_FILE, FUNCTIONS, type FunctionName, LICENCES_FILE } from './function-names.ts';
import { CERTIFICATES_FILE } from './ship-certificates.ts';
import {
  NO_MIGRATIONS,
  type ShippedMigrations,
  writeManifest,
  writeMigrations,
  writeStatements,
  writeToolMigrations,
} from './shipped-migrations.ts';

/** Functions that read the migration files. */
const WITH_MIGRATIONS: readonly FunctionName[] = ['preflight', 'run-migrations', 'report'];

interface BundleProps {
  /** Folder for the bundles. Its content is deleted first. */
  outdir: string;
  registry: CompiledRegistry;
  /** The SQL files. Null: the bundles contain no migrations. */
  migrations: ShippedMigrations | null;
  /** The migrations of the application's own tool. @default the environment names no tool */
  toolMigrations?: ToolMigrations | null | undefined;
  /** The certificates of the database's authorities, in PEM format. */
  certificates: string;
}

/**
 * Writes the folder of each function: its bundled code with the licences of the packages in it, the compiled registry, and
 * the migrations if it reads them.
 * @returns the folder of each function: a Lambda asset with the handler `index.handler`
 */
export function bundleFunctions(props: BundleProps): Record<FunctionName, string> {
  rmSync(props.outdir, { recursive: true, force: true });
  const folders = Object.fromEntries(FUNCTIONS.map((name) => [name, join(props.outdir, name)])) as Record<
    FunctionName,
    string
  >;
  const { code, licences } = functionCode();
  const registry = JSON.stringify(props.registry);
  for (const name of FUNCTIONS) {
    mkdirSync(folders[name], { recursive: true });
    const contents = code.get(name);
    if (contents === undefined) throw new Error(`There is no bundled code for the function ${name}.`);
    writeFileSync(join(folders[name], CODE_FILE), contents);
    writeFileSync(join(folders[name], LICENCES_FILE), licences);
    writeFileSync(join(folders[name], REGISTRY_FILE), registry);
    writeFileSync(join(folders[name], CERTIFICATES_FILE), props.certificates);
  }
  const migrations = props.migrations ?? NO_MIGRATIONS;
  for (const name of WITH_MIGRATIONS) writeMigrations(migrations, join(folders[name], MIGRATIONS_FOLDER));
  for (const name of ['run-migrations', 'preflight'] as const) writeStatements(migrations, folders[name]);
  writeManifest(migrations, folders.preflight);
  writeToolMigrations(props.toolMigrations ?? null, folders.preflight);
  return folders;
}
