import { text as readAll } from 'node:stream/consumers';
import type { Imported } from '../import/entries.ts';
import { findSources } from '../import/find-sources.ts';
import { importSources } from '../import/import-sql.ts';
import { importDatabase } from '../import/live-database.ts';
import type { Sources, Tool } from '../import/source.ts';
import { summaryOf } from '../import/summary.ts';
import { writeRegistry } from '../import/write-registry.ts';
import { newRegistryFile } from '../registry/append-entries.ts';

export interface ImportSettings {
  /** Files, folders, `-`. Empty: the database is read. */
  readonly paths: readonly string[];
  readonly databaseUrl: string | undefined;
  readonly from: Tool | undefined;
  readonly format: 'ts' | 'json';
  /** Registry to write to. Undefined: standard output. */
  readonly out: string | undefined;
  readonly json: boolean;
}

/** Imports, and writes what came of it: entries to the registry or standard output, what was not taken to standard error. */
export async function runImport({ out, format, json, ...from }: ImportSettings): Promise<void> {
  const imported = await read(from);
  const written = out === undefined ? null : await writeRegistry(out, imported.entries);
  const taken = written?.added ?? imported.entries;
  const kept = written?.kept ?? [];
  if (json) process.stdout.write(`${JSON.stringify({ ...imported, entries: taken, kept }, null, 2)}\n`);
  else if (out === undefined) process.stdout.write(newRegistryFile(taken, format));
  process.stderr.write(summaryOf(imported, taken.length, kept));
}

async function read({
  paths,
  databaseUrl,
  from,
}: Pick<ImportSettings, 'paths' | 'databaseUrl' | 'from'>): Promise<Imported> {
  if (databaseUrl !== undefined) return await importDatabase(databaseUrl);
  const all: Omit<Sources, 'tool'>[] = [];
  for (const path of paths) all.push(path === '-' ? await standardInput() : await findSources(path, from));
  return await importSources({
    files: all.flatMap(({ files }) => files),
    notTaken: all.flatMap(({ notTaken }) => notTaken),
  });
}

async function standardInput(): Promise<Omit<Sources, 'tool'>> {
  const text = await readAll(process.stdin);
  return { files: [{ file: '(standard input)', text, hasLines: true }], notTaken: [] };
}
