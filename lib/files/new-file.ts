import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { checkOutputFile } from './output-file.ts';

/**
 * Checks that a file can be written, also if its folder does not exist and is created before. Nothing is changed.
 * @throws OutputFileError
 */
export function checkNewFile(file: string): void {
  let folder = dirname(file);
  while (!existsSync(folder) && dirname(folder) !== folder) folder = dirname(folder);
  checkOutputFile(join(folder, basename(file)));
}
