import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { filesBelow } from './folder-entries.ts';
import { readSources } from './migration-files.ts';
import { NoSourceError, type SourceFiles } from './sql-source.ts';

const JOURNAL = join('meta', '_journal.json');

const journalSchema = z.object({
  dialect: z.string().optional(),
  entries: z.array(z.object({ idx: z.number(), tag: z.string(), when: z.number().optional() })),
});

/**
 * Reads Drizzle's files in the order of its journal. Drizzle does not run files that the journal does not list.
 * @throws NoSourceError if the journal does not exist or is not valid
 */
export function readDrizzle(folder: string): SourceFiles {
  const journal = join(folder, JOURNAL);
  if (!existsSync(journal))
    throw new NoSourceError(
      `The journal ${journal} does not exist. Give the folder in which drizzle-kit writes its migrations.`,
    );
  const entries = readJournal(journal).entries.toSorted((a, b) => a.idx - b.idx);
  const listed = entries.map(({ tag }) => join(folder, `${tag}.sql`));
  const missing = listed.filter((file) => !existsSync(file));
  const unlisted = filesBelow(folder).files.filter((file) => file.endsWith('.sql') && !listed.includes(file));
  const { files, skipped } = readSources(listed.filter((file) => existsSync(file)));
  return {
    files,
    skipped: [
      ...skipped,
      ...missing.map((file) => ({
        file,
        line: null,
        what: `migration ${basename(file)}`,
        reason: `${JOURNAL} lists it, but the file does not exist`,
      })),
      ...unlisted.map((file) => ({
        file,
        line: null,
        what: `file ${basename(file)}`,
        reason: `${JOURNAL} does not list it, so Drizzle does not run it`,
      })),
    ],
  };
}

/** The dialect of a folder's journal. Null: the journal names none, or cannot be read. */
export function drizzleDialect(folder: string): string | null {
  try {
    return readJournal(join(folder, JOURNAL)).dialect ?? null;
  } catch {
    return null;
  }
}

/** @throws NoSourceError if the journal cannot be read or is not valid */
export function readJournal(file: string): z.output<typeof journalSchema> {
  try {
    return journalSchema.parse(JSON.parse(readFileSync(file, 'utf8')));
  } catch (error) {
    throw new NoSourceError(`${file} is not a valid journal of drizzle-kit.`, { cause: error });
  }
}
