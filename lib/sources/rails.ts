import { readFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { decodeUtf8 } from '../sql/decode-utf8.ts';
import { unreadable } from './folder-entries.ts';
import { isRailsMigration } from './histories.ts';
import { readSources } from './migration-files.ts';
import type { Skipped, SourceFiles, SourceReading, SqlSource } from './sql-source.ts';

/**
 * Reads a database of Rails: its structure.sql, its schema.rb, or its migrations in Ruby, which are not run.
 * @param files the files of its folder
 * @param prefer what to read if there are both
 */
export async function readRails(
  folder: string,
  files: readonly string[],
  prefer: NonNullable<SourceReading['prefer']>,
): Promise<SourceFiles> {
  const migrations = files
    .filter(
      (file) => isRailsMigration(basename(file)) && [folder, join(folder, 'migrate')].includes(dirname(file)),
    )
    .toSorted((a, b) => versionOf(a) - versionOf(b) || (a < b ? -1 : 1));
  const structure = files.find((file) => file === join(folder, 'structure.sql'));
  const schema = files.find((file) => file === join(folder, 'schema.rb'));
  const others = otherDatabases(folder, files);
  if (prefer === 'migrations' && migrations.length > 0)
    return withSkipped(await readRuby(migrations), others);
  if (structure !== undefined) return withSkipped(readSources([structure]), others);
  return withSkipped(await readRuby(schema === undefined ? migrations : [schema]), others);
}

/** Reads files of Ruby in their order. */
export async function readRuby(files: readonly string[]): Promise<SourceFiles> {
  // Loaded only here, because only these projects need the parser.
  const { RailsReader } = await import('./ruby/rails-migration.ts');
  const reader = new RailsReader();
  const sources: SqlSource[] = [];
  const skipped: Skipped[] = [];
  for (const file of files) {
    let bytes: Uint8Array;
    try {
      bytes = readFileSync(file);
    } catch (error) {
      skipped.push(unreadable(file, 'file', error));
      continue;
    }
    const { text, problem } = decodeUtf8(bytes);
    if (problem !== null) {
      sources.push({ file, text: '', hasLines: false, encodingProblem: problem });
      continue;
    }
    try {
      sources.push(await reader.read(file, text));
    } catch (error) {
      skipped.push({ file, line: null, what: `file ${basename(file)}`, reason: messageOf(error) });
    }
  }
  return { files: sources, skipped };
}

/** Each other database needs an import of its own. */
function otherDatabases(folder: string, files: readonly string[]): Skipped[] {
  return files
    .filter((file) => dirname(file) === folder && /_(?:structure\.sql|schema\.rb)$/.test(file))
    .map((file) => ({
      ...{ file, line: null, what: `file ${basename(file)}` },
      reason: 'it belongs to another database; import it separately, into a registry of its own',
    }));
}

function withSkipped({ files, skipped }: SourceFiles, others: readonly Skipped[]): SourceFiles {
  return { files, skipped: [...skipped, ...others] };
}

function versionOf(file: string): number {
  return Number(/^\d+/.exec(basename(file))?.[0] ?? 0);
}
