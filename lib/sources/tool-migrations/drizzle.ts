import { createHash } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ToolMigration } from '../../../lambdas/shared/tool-migrations.ts';
import { readJournal } from '../drizzle.ts';
import { JOURNAL } from '../histories.ts';
import { NoSourceError } from '../sql-source.ts';

/** The entries of the journal, with the hash that Drizzle writes into its table. */
export function drizzleMigrations(folder: string): ToolMigration[] {
  const journal = join(folder, JOURNAL);
  if (!existsSync(journal)) return [];
  return readJournal(journal).entries.map(({ tag, when }) => {
    const file = join(folder, `${tag}.sql`);
    if (when === undefined || !existsSync(file)) {
      throw new NoSourceError(
        when === undefined
          ? `The entry ${tag} of ${journal} has no "when", by which Drizzle knows what is pending.`
          : `The journal ${journal} lists ${tag}, but ${file} does not exist, so drizzle-kit migrate would fail.`,
      );
    }
    const hash = createHash('sha256').update(readFileSync(file, 'utf8')).digest('hex');
    return { name: tag, key: hash, when };
  });
}
