import { readFileSync } from 'node:fs';
import { decodeUtf8 } from '../sql/decode-utf8.ts';
import { unreadable } from './folder-entries.ts';
import { keepHeapSmall } from './small-heap.ts';
import type { Skipped, SourceFiles, SqlSource } from './sql-source.ts';

/** Migrations of node-pg-migrate that are code: a timestamp or a number, and words. */
export const NUMBERED_CODE = /^\d+[_-].*\.(?:[cm]?js|[cm]?ts)$/;

/** Whether a file is a down migration of golang-migrate or another tool. */
export function isDownFile(file: string): boolean {
  return /\.(?:down|undo|rollback)\.sql$/i.test(file);
}

/** Reads files. Those that cannot be read are in `skipped`, with the reason. */
export function readSources(files: readonly string[], read = readSource): SourceFiles {
  const sources: SqlSource[] = [];
  const skipped: Skipped[] = [];
  for (const file of files) {
    try {
      sources.push(read(file));
    } catch (error) {
      skipped.push(unreadable(file, 'file', error));
    }
  }
  return { files: sources, skipped };
}

export function readSource(file: string): SqlSource {
  return sourceOf(file, readFileSync(file));
}

/** @param bytes the content of the file */
export function sourceOf(file: string, bytes: Uint8Array): SqlSource {
  keepHeapSmall(bytes);
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

/** The mark of node-pg-migrate's own SQL files. */
export const UP_MARK = /^[ \t]*--[ \t-]*up\s+migration/i;
