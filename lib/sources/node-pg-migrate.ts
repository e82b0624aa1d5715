import { readFileSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import type { MigrationBuilder } from 'node-pg-migrate';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { CallPlaces } from './call-places.ts';
import { readSources, readUpMigration } from './migration-files.ts';
import type { Skipped, SourceFiles, SqlSource } from './sql-source.ts';

type NodePgMigrate = typeof import('node-pg-migrate');
type BuilderArguments = ConstructorParameters<NodePgMigrate['MigrationBuilder']>;
type Shorthands = NonNullable<BuilderArguments[1]>;

/** The exports of a migration that is code. */
interface MigrationModule {
  readonly shorthands?: Shorthands;
  readonly up?: (builder: MigrationBuilder, done?: () => void) => unknown;
}

/**
 * Reads node-pg-migrate's files in their order. For a migration that is code, it runs the `up` function with the tool's own
 * builder, which records the SQL without a connection. A migration that queries the database is skipped.
 * @param runCode false: code is skipped
 */
export async function readNodePgMigrate(files: readonly string[], runCode: boolean): Promise<SourceFiles> {
  const sources: SqlSource[] = [];
  const skipped: Skipped[] = [];
  let shorthands: Shorthands = {};
  let tool: NodePgMigrate | undefined;
  for (const file of files) {
    if (file.endsWith('.sql')) {
      const read = readSources([file], readUpMigration);
      sources.push(...read.files);
      skipped.push(...read.skipped);
      continue;
    }
    if (!runCode) {
      skipped.push({ file, line: null, what: `migration ${basename(file)}`, reason: NOT_RUN, isCode: true });
      continue;
    }
    try {
      // Loaded only here, because it takes long and SQL files do not need it.
      tool ??= await import('node-pg-migrate');
      const module = await tool.jiti.import<MigrationModule>(resolve(file));
      shorthands = { ...shorthands, ...module.shorthands };
      sources.push({ file, hasLines: false, ...(await sqlOf(tool, module, { file, shorthands })) });
    } catch (error) {
      const reason = `its up function cannot run without a database: ${messageOf(error)}`;
      skipped.push({ file, line: null, what: `migration ${basename(file)}`, reason });
    }
  }
  return { files: sources, skipped };
}

const NOT_RUN = 'it is code, and --no-code runs no code';

/** Runs the `up` function. Each statement has the place of the call that makes it. */
async function sqlOf(
  { MigrationBuilder }: NodePgMigrate,
  { up }: MigrationModule,
  { file, shorthands }: { readonly file: string; readonly shorthands: Shorthands },
): Promise<Pick<SqlSource, 'text' | 'origin'>> {
  if (typeof up !== 'function') return { text: '' };
  const refuse = async () => {
    throw new Error('it queries the database (pgm.db)');
  };
  const silent = () => undefined;
  const builder = new MigrationBuilder(
    { query: refuse, select: refuse } as unknown as BuilderArguments[0],
    shorthands,
    false,
    { debug: silent, info: silent, warn: silent, error: silent } as BuilderArguments[3],
  );
  const places = new CallPlaces(resolve(file), () => builder.getSqlSteps().length);
  const recording = places.recording(builder);
  if (up.length > 1) await new Promise<void>((done) => void up(recording, done));
  else await up(recording);
  const steps = builder.getSqlSteps();
  return { text: steps.join('\n'), origin: places.originOf(readFileSync(file, 'utf8'), steps) };
}
