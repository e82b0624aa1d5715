import { existsSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { z } from 'zod';
import { filesBelow, readSource } from './files.ts';
import { NoSourceError, type Sources } from './source.ts';

export const JOURNAL = join('meta', '_journal.json');

const journalSchema = z.object({ entries: z.array(z.object({ idx: z.number(), tag: z.string() })) });

/** Drizzle's files in the order of its journal; what the journal does not name was never run. */
export function readDrizzle(folder: string): Sources {
  const journal = join(folder, JOURNAL);
  if (!existsSync(journal))
    throw new NoSourceError(`There is no journal ${journal}, which drizzle-kit writes.`);
  const entries = readJournal(journal).toSorted((a, b) => a.idx - b.idx);
  const named = entries.map(({ tag }) => join(folder, `${tag}.sql`));
  const missing = named.filter((file) => !existsSync(file));
  const unnamed = filesBelow(folder).filter((file) => file.endsWith('.sql') && !named.includes(file));
  return {
    tool: 'drizzle',
    files: named.filter((file) => existsSync(file)).map(readSource),
    notTaken: [
      ...missing.map((file) => ({
        file,
        line: null,
        what: `migration ${basename(file)}`,
        reason: `${JOURNAL} names it, and the file is not there`,
      })),
      ...unnamed.map((file) => ({
        file,
        line: null,
        what: `file ${basename(file)}`,
        reason: `${JOURNAL} does not name it, so that Drizzle does not run it`,
      })),
    ],
  };
}

function readJournal(file: string): { idx: number; tag: string }[] {
  try {
    return journalSchema.parse(JSON.parse(readFileSync(file, 'utf8'))).entries;
  } catch (error) {
    throw new NoSourceError(`${file} is not a journal as drizzle-kit writes it.`, { cause: error });
  }
}
