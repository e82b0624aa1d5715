/*
 * The process that compiles the registry and the migrations for a construct: lib/compile/compile-files.ts starts it. It reads
 * what to compile from standard input, and writes its result to file descriptor 3.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { type CompileResult, type FilesToCompile, RESULT } from '../compile/compile-files.ts';
import type { CompiledFiles, CompiledFinding } from '../compile/compiled-files.ts';
import { migrationsToShip, notesOnMigrations } from '../functions/ship-migrations.ts';
import { toolMigrationsToShip } from '../functions/ship-tool-migrations.ts';
import { compileRegistry } from '../registry/compile-registry.ts';
import { loadRegistry } from '../registry/load-registry.ts';
import { RegistryError } from '../registry/registry-error.ts';
import { lintFiles } from './commands/lint-project.ts';

async function compile({
  indexes,
  migrations,
  pendingTool = null,
  searchPath,
  projectRoot,
  lint,
}: FilesToCompile): Promise<CompiledFiles> {
  const registry =
    typeof indexes === 'string' ? await loadRegistry(indexes) : await compileRegistry(indexes, 'indexes');
  const shipped = migrations === null ? null : migrationsToShip(migrations, searchPath ?? undefined);
  const findings = lint
    ? await findingsOf({
        registry: typeof indexes === 'string' ? inFolder(indexes) : null,
        migrations: migrations === null ? null : inFolder(migrations),
        searchPath: searchPath ?? undefined,
      })
    : [];
  return {
    registry,
    migrations: shipped,
    toolMigrations: pendingTool === null ? null : toolMigrationsToShip(pendingTool, projectRoot),
    notes: migrations === null ? [] : notesOnMigrations(migrations),
    findings: findings.map(({ rule, file, line, column, message }) => ({
      rule,
      file,
      line,
      column,
      message,
    })),
  };
}

/** Synth does not fail because of lint. What keeps lint from its work is a finding too. */
async function findingsOf(linted: Parameters<typeof lintFiles>[0]): Promise<CompiledFinding[]> {
  try {
    return await lintFiles(linted);
  } catch (error) {
    const message = `lint could not check the registry and the migrations: ${messageOf(error)}`;
    return [{ rule: 'lint', file: 'cdk.json', line: 1, column: 1, message }];
  }
}

/** As a user writes it: relative to the project, which is the working directory. */
function inFolder(path: string): string {
  return relative('', path) || '.';
}

async function resultOf(files: FilesToCompile): Promise<CompileResult> {
  try {
    return { files: await compile(files) };
  } catch (error) {
    const name = error instanceof Error ? error.name : '';
    const problems = error instanceof RegistryError ? error.problems : null;
    return { error: { name, message: messageOf(error), problems } };
  }
}

const files = JSON.parse(readFileSync(0, 'utf8')) as FilesToCompile;
writeFileSync(RESULT, JSON.stringify(await resultOf(files)));
