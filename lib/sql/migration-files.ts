import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

/** Ways back: golang-migrate and node-pg-migrate (`x.down.sql`), Flyway (`U2__x.sql`), Prisma and others (`down.sql`). */
const WAY_BACK = /(?:[._]down\.sql|^down\.sql|^U\d[\d._]*__.*\.sql)$/;

const inOrder = new Intl.Collator('en', { numeric: true });

/**
 * The SQL files of a folder of migrations and of the folders in it, or the one file, in the order of their numbers, so
 * that V10 comes after V9. Those that only lead back are left out.
 */
export function migrationFiles(path: string): string[] {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.sql') && !WAY_BACK.test(entry.name))
    .map((entry) => join(entry.parentPath, entry.name))
    .toSorted(inOrder.compare);
}
