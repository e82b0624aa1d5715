import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { SqlSource } from './source.ts';

export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** By their numbers where names have some: 2_b before 10_a. */
export function inNaturalOrder(names: readonly string[]): string[] {
  const collator = new Intl.Collator('en', { numeric: true });
  return names.toSorted((a, b) => collator.compare(a, b));
}

/** Paths of the files below a folder, in the order of their names; what is hidden or installed is left out. */
export function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(
    ({ name }) => !name.startsWith('.') && name !== 'node_modules',
  );
  return inNaturalOrder(entries.map(({ name }) => name)).flatMap((name) => {
    const path = join(folder, name);
    return isFolder(path) ? filesBelow(path) : [path];
  });
}

export function readSource(file: string): SqlSource {
  return { file, text: readFileSync(file, 'utf8').replace(/^\ufeff/, ''), hasLines: true };
}
