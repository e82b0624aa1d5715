import { basename, resolve } from 'node:path';
import type { MigrationBuilder } from 'node-pg-migrate';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { upPart } from '../sql/up-part.ts';
import { readSource } from './files.ts';
import type { NotTaken, Sources, SqlSource } from './source.ts';

type Tool = typeof import('node-pg-migrate');
type Builder = ConstructorParameters<Tool['MigrationBuilder']>;
type Shorthands = NonNullable<Builder[1]>;

/** A migration that is code, as far as it is looked at. */
interface MigrationModule {
  readonly shorthands?: Shorthands;
  readonly up?: (builder: MigrationBuilder, done?: () => void) => unknown;
}

/**
 * node-pg-migrate's files in their order. Of one that is code, its `up` is run against the tool's own builder, which writes
 * down the SQL and reaches no database; one that asks the database for something cannot be run so.
 */
export async function readNodePgMigrate(files: readonly string[]): Promise<Sources> {
  const sources: SqlSource[] = [];
  const notTaken: NotTaken[] = [];
  let shorthands: Shorthands = {};
  let tool: Tool | undefined;
  for (const file of files) {
    if (file.endsWith('.sql')) {
      const source = readSource(file);
      sources.push({ ...source, text: upPart(source.text) });
      continue;
    }
    try {
      // It takes long to load, and who has SQL files does not need it.
      tool ??= await import('node-pg-migrate');
      const module = await tool.jiti.import<MigrationModule>(resolve(file));
      shorthands = { ...shorthands, ...module.shorthands };
      sources.push({ file, text: await sqlOf(tool, module, shorthands), hasLines: false });
    } catch (error) {
      const reason = `its up cannot be run without a database: ${messageOf(error)}`;
      notTaken.push({ file, line: null, what: `migration ${basename(file)}`, reason });
    }
  }
  return { tool: 'node-pg-migrate', files: sources, notTaken };
}

async function sqlOf(
  { MigrationBuilder }: Tool,
  { up }: MigrationModule,
  shorthands: Shorthands,
): Promise<string> {
  if (typeof up !== 'function') return '';
  const refuse = async () => {
    throw new Error('it asks the database for something (pgm.db)');
  };
  const silent = () => undefined;
  const builder = new MigrationBuilder(
    { query: refuse, select: refuse } as unknown as Builder[0],
    shorthands,
    false,
    { debug: silent, info: silent, warn: silent, error: silent } as Builder[3],
  );
  if (up.length > 1) await new Promise<void>((done) => void up(builder, done));
  else await up(builder);
  return builder.getSql();
}
