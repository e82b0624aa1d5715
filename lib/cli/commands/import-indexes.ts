import { buffer as readAll } from 'node:stream/consumers';
import { counted } from '../../../lambdas/shared/text.ts';
import { visibleJson } from '../../../lambdas/shared/visible-text.ts';
import { importDatabase } from '../../import/import-database.ts';
import { type Imported, importSources } from '../../import/import-sources.ts';
import { summaryOf } from '../../import/import-summary.ts';
import { registryText, writeRegistry } from '../../registry/write-registry.ts';
import { findSources } from '../../sources/find-sources.ts';
import { sourceOf } from '../../sources/migration-files.ts';
import { withValues } from '../../sources/placeholders.ts';
import { sourceInJson, sourcesInWords } from '../../sources/sources-in-words.ts';
import {
  NoSourceError,
  type PlaceholderValues,
  type Skipped,
  type SourceReading,
  type Sources,
  type Tool,
} from '../../sources/sql-source.ts';
import { printOutput } from '../terminal/print-output.ts';
import { terminalText } from '../terminal/terminal-text.ts';

interface ImportSettings {
  /** Files, folders, `-`. Empty: the indexes come from the database. */
  readonly paths: readonly string[];
  readonly databaseUrl: string | undefined;
  readonly from: Tool | undefined;
  readonly format: 'ts' | 'json';
  /** Registry to add to. Undefined: standard output. */
  readonly out: string | undefined;
  readonly json: boolean;
  /** False: migrations that are code are not run, and neither is the registry. */
  readonly runCode: boolean;
  /** Values of placeholders. Undefined: none. */
  readonly placeholders: PlaceholderValues | undefined;
  /** Undefined: that of the role for a database, otherwise public. */
  readonly searchPath: readonly string[] | undefined;
}

/**
 * Writes the entries to the registry or standard output, and a summary of what was skipped to standard error.
 * @returns false when standard output did not accept the result
 */
export async function importIndexes(settings: ImportSettings): Promise<boolean> {
  const { out, format, json, runCode, searchPath } = settings;
  const { imported, sources } = await readIndexes(settings);
  const written =
    out === undefined ? null : await writeRegistry(out, imported.entries, { runCode, searchPath });
  const added = written?.added ?? imported.entries;
  const kept = (written?.kept ?? []).map(({ entry, reason }) => ({
    ...{ file: out ?? '', line: null },
    what: `index ${entry.name}`,
    reason,
  }));
  let isPrinted = true;
  if (json)
    isPrinted = await printOutput(
      'result',
      `${visibleJson({ ...imported, entries: added, kept, sources: sources.map(sourceInJson) }, 2)}\n`,
    );
  else if (out === undefined)
    isPrinted = await printOutput('result', terminalText(registryText(added, format)));
  process.stderr.write(terminalText(sourcesInWords(sources) + summaryOf(imported, added.length, kept)));
  return isPrinted;
}

interface Read {
  readonly imported: Imported;
  /** What was read. Empty: a database. */
  readonly sources: readonly Sources[];
}

async function readIndexes({ paths, databaseUrl, ...reading }: ImportSettings): Promise<Read> {
  if (databaseUrl !== undefined)
    return { imported: await importDatabase(databaseUrl, reading.searchPath), sources: [] };
  const sources: Sources[] = [];
  for (const path of paths)
    sources.push(path === '-' ? await standardInput(reading) : await findSources(path, reading));
  const files = sources.flatMap((one) => one.files);
  const skipped = sources.flatMap((one) => one.skipped);
  if (files.length === 0) refuseNothing(skipped);
  return { imported: await importSources({ files, skipped }, reading.searchPath), sources };
}

/** @throws NoSourceError if there are files, and none of them can be read */
function refuseNothing(skipped: readonly Skipped[]): void {
  const notRun = skipped.filter(({ isCode }) => isCode);
  if (notRun.length > 0) {
    throw new NoSourceError(
      `Nothing can be imported: all migrations are code (${counted(notRun.length, 'file')}), and --no-code runs no code. ` +
        'If you trust them, run import without --no-code.',
    );
  }
  const wrong = skipped.filter(({ isError }) => isError);
  if (wrong.length > 0) {
    const lines = wrong.map(({ file, reason }) => `  - ${file}: ${reason}.`);
    throw new NoSourceError(['Nothing can be imported: no migration can be read.', ...lines]);
  }
}

async function standardInput({ placeholders = new Map() }: SourceReading): Promise<Sources> {
  const file = '(standard input)';
  const files = [withValues(sourceOf(file, await readAll(process.stdin)), placeholders)];
  return { tool: 'plain', folder: file, dialects: [], files, skipped: [] };
}
