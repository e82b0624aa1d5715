import { basename, extname } from 'node:path';
import type { ToolMigration } from '../../../lambdas/shared/tool-migrations.ts';
import { entriesOf, filesBelow } from '../folder-entries.ts';
import { NUMBERED_CODE } from '../migration-files.ts';

/** Tools whose files begin with the version, or the name, that the table has. */

/** Rails reads the folders in the folder too, and compares versions as numbers. */
export function railsMigrations(folder: string): ToolMigration[] {
  return filesBelow(folder).files.flatMap((file) => {
    const version = /^(\d+)_[_a-z0-9]*\.?[_a-z0-9]*\.rb$/.exec(basename(file))?.[1];
    return version === undefined ? [] : [{ name: basename(file, '.rb'), key: withoutZeros(version) }];
  });
}

/** Its table has the version of the last migration only. */
export function golangMigrations(folder: string): ToolMigration[] {
  return filesIn(folder).flatMap((name) => {
    const version = /^(\d+)_.*\.up\.\w+$/.exec(name)?.[1];
    return version === undefined
      ? []
      : [{ name: name.replace(/\.up\.\w+$/, ''), key: withoutZeros(version) }];
  });
}

/** Its table has the names of the files without the extension. */
export function nodePgMigrations(folder: string): ToolMigration[] {
  const own = filesIn(folder).filter((name) => NUMBERED_CODE.test(name) || /^\d.*\.sql$/.test(name));
  const names = own.filter((name) => !name.endsWith('.d.ts')).map((name) => basename(name, extname(name)));
  return [...new Set(names)].map((name) => ({ name, key: name }));
}

function filesIn(folder: string): string[] {
  return entriesOf(folder).entries.flatMap(({ path, isFolder }) => (isFolder ? [] : [basename(path)]));
}

function withoutZeros(version: string): string {
  return version.replace(/^0+(?=\d)/, '');
}
