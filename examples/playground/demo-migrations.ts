import { copyFileSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

const DEMO = join(import.meta.dirname, '../../database');
/** The rows need the schema before the last two migrations. */
const MIGRATIONS_AFTER_ROWS = 2;

/**
 * Writes the migrations of the demo, with one more that inserts its rows, and numbers them again.
 * @param folder is created, or replaced
 * @returns the names of the files
 */
export function writeDemoMigrations(folder: string): string[] {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const files = readdirSync(join(DEMO, 'migrations')).toSorted();
  const at = files.length - MIGRATIONS_AFTER_ROWS;
  const sources = [
    ...files.map((name) => ({ name: name.replace(/^\d+_/, ''), path: join(DEMO, 'migrations', name) })),
  ].toSpliced(at, 0, { name: 'demo_rows.sql', path: join(DEMO, 'seed.sql') });
  return sources.map(({ name, path }, number) => {
    const target = `${String(number + 1).padStart(4, '0')}_${name}`;
    copyFileSync(path, join(folder, target));
    return target;
  });
}
