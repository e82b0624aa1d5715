import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { ToolMigration } from '../../../lambdas/shared/tool-migrations.ts';
import { entriesOf } from '../folder-entries.ts';
import { NoSourceError } from '../sql-source.ts';

/** A folder for each migration. */
export function prismaMigrations(folder: string): ToolMigration[] {
  const folders = entriesOf(folder).entries.flatMap(({ path, isFolder }) => (isFolder ? [path] : []));
  const [own, empty] = [true, false].map((has) =>
    folders.filter((path) => existsSync(join(path, 'migration.sql')) === has),
  ) as [string[], string[]];
  if (own.length > 0 && empty.length > 0) {
    throw new NoSourceError(
      `${empty[0]} has no migration.sql, so prisma migrate deploy would fail with P3015. Restore the file, or remove the folder.`,
    );
  }
  return own.map((path) => ({ name: basename(path), key: basename(path) }));
}
