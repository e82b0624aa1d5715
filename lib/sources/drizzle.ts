import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { filesBelow, readSource } from './migration-files.ts';
import { NoSourceError, type Sources } from './sql-source.ts';

export const JOURNAL = join('meta', '_journal.json');

const journalSchema = z.object({ entries: z.array(z.object({ idx: z.number(), tag: z.string() })) });

/**
 * Reads Drizzle's files in the order of its journal. Drizzle does not run files that the journal does not list.
 * @throws NoSourceError if the journal does not exist or is not valid
 */
export function readDrizzle(folder: string): Sources {
  const journal = join(folder, JOURNAL);
  if (!existsSync(journal))
    throw new NoSourceError(
      `The journal ${journal} does not exist. Give the folder in which drizzle-kit writes its migrations.`,
    );
  const entries = readJournal(journal).toSorted((a, b) => a.idx - b.idx);
  const listed = entries.map(({ tag }) => join(folder, `${tag}.sql`));
  const missing = listed.filter((file) => !existsSync(file));
  const unlisted = filesBelow(folder).filter((file) => file.endsWith('.sql') && !listed.includes(file));
  return {
    tool: 'drizzle',
    files: listed.filter((file) => existsSync(file)).map(readSource),
    skipped: [
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

function readJournal(file: string): { idx: number; tag: string }[] {
  try {
    return journalSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).entries;
  } catch (error) {
    throw new NoSourceError(`${file} is not a valid journal of drizzle-kit.`, { cause: error });
  }
}
