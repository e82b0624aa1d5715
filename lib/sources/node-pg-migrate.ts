import { basename, resolve } from 'node:path';
import type { MigrationBuilder } from 'node-pg-migrate';
import { messageOf } from '../../lambdas/shared/errors.ts';
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
      sources.push({ file, text: await sqlOf(tool, module, shorthands), hasLines: false });
    } catch (error) {
      const reason = `its up function cannot run without a database: ${messageOf(error)}`;
      skipped.push({ file, line: null, what: `migration ${basename(file)}`, reason });
    }
  }
  return { files: sources, skipped };
}

const NOT_RUN = 'it is code, and --no-code runs no code';

async function sqlOf(
  { MigrationBuilder }: NodePgMigrate,
  { up }: MigrationModule,
  shorthands: Shorthands,
): Promise<string> {
  if (typeof up !== 'function') return '';
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
  if (up.length > 1) await new Promise<void>((done) => void up(builder, done));
  else await up(builder);
  return builder.getSql();
}
