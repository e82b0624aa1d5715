import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decodeUtf8 } from '../sql/decode-utf8.ts';
import { NoSourceError, type SqlSource } from './sql-source.ts';

export function isFolder(path: string): boolean {
  return existsSync(path) && statSync(path).isDirectory();
}

/** Sorts by the numbers in names: 2_b before 10_a. */
function inNaturalOrder(names: readonly string[]): string[] {
  const collator = new Intl.Collator('en', { numeric: true });
  return names.toSorted((a, b) => collator.compare(a, b));
}

/** Whether the name of an entry is not UTF-8: then Node.js shows another name, which does not exist. */
export function hasOtherEncoding(folder: string, name: string): boolean {
  return name.includes('\ufffd') && !existsSync(join(folder, name));
}

/** Paths of the files below a folder, in the order of their names, without hidden files and node_modules. @throws NoSourceError if a name is not UTF-8 */
export function filesBelow(folder: string): string[] {
  const entries = readdirSync(folder, { withFileTypes: true }).filter(
    ({ name }) => !name.startsWith('.') && name !== 'node_modules',
  );
  const unreadable = entries.find(({ name }) => hasOtherEncoding(folder, name));
  if (unreadable !== undefined) {
    throw new NoSourceError(
      `${join(folder, unreadable.name)}: the name of this file is not UTF-8. Rename it.`,
    );
  }
  return inNaturalOrder(entries.map(({ name }) => name)).flatMap((name) => {
    const path = join(folder, name);
    return isFolder(path) ? filesBelow(path) : [path];
  });
}

export function readSource(file: string): SqlSource {
  return sourceOf(file, readFileSync(file));
}

/** @param bytes the content of the file */
export function sourceOf(file: string, bytes: Uint8Array): SqlSource {
  const { text, problem } = decodeUtf8(bytes);
  return { file, text, hasLines: true, encodingProblem: problem };
}

/** Reads a file without its down migration. */
export function readUpMigration(file: string): SqlSource {
  const source = readSource(file);
  return { ...source, text: upMigration(source.text) };
}

/*
 * Tools that keep up and down migration in one file mark them with comments: node-pg-migrate (`-- Down Migration`), dbmate
 * (`-- migrate:down`), goose (`-- +goose Down`), sql-migrate (`-- +migrate Down`).
 */
const DOWN = /^[ \t]*--[ \t-]*(?:down\s+migration|migrate:down|\+goose\s+down|\+migrate\s+down)/im;
const UP = /^[ \t]*--[ \t-]*(?:up\s+migration|migrate:up|\+goose\s+up|\+migrate\s+up)/im;

/** Replaces the down migration in a text with spaces, so that lines and columns stay valid. */
export function upMigration(text: string): string {
  const down = text.search(DOWN);
  if (down === -1) return text;
  const up = text.search(UP);
  const end = up > down ? up : text.length;
  return text.slice(0, down) + text.slice(down, end).replaceAll(/[^\n]/g, ' ') + text.slice(end);
}
