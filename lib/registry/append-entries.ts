import { placesIn } from '../sql/places.ts';
import type { IndexEntry } from './define-indexes.ts';
import { readJson } from './json-source.ts';
import { readModule } from './module-source.ts';
import type { NoList, SourceList } from './registry-source.ts';
import { entryText, type RegistryKind } from './registry-text.ts';

/** A registry file contains no list that entries can be added to. The message says why, where, and what to write. */
export class NoListError extends Error {
  override readonly name = 'NoListError';
}

/**
 * Adds entries at the end of a registry's list, indented like its other entries. Everything else in the file stays
 * unchanged, byte for byte, with its line endings and comments.
 * @param file the file's name, for the error.
 * @throws NoListError if the default export is not a list that the file writes out, or the file has a syntax error.
 */
export function appendEntries(
  fileText: string,
  kind: RegistryKind,
  entries: readonly IndexEntry[],
  file = 'the registry',
): string {
  // Neither parser accepts a byte order mark.
  const mark = fileText.startsWith('\ufeff') ? '\ufeff' : '';
  const text = fileText.slice(mark.length);
  const list = listOf(text, kind);
  if ('reason' in list) throw noListError(text, list, file);
  if (entries.length === 0) return fileText;

  const { start, close, elements, hasTrailingComma } = list;
  const [first] = elements;
  const outer = /^[ \t]*/.exec(lineBefore(text, start))?.[0] ?? '';
  const beforeFirst = first === undefined ? null : lineBefore(text, first.start);
  const inner = beforeFirst?.trim() === '' ? beforeFirst : null;
  const step = stepOf(text, outer, inner);
  const indent = inner ?? outer + step;
  const eol = text.includes('\r\n') ? '\r\n' : '\n';

  const before = text.slice(0, close).trimEnd();
  const last = elements.at(-1);
  const comma = last === undefined || hasTrailingComma ? '' : ',';
  // A comment after the last entry stays after its comma.
  const afterLast = comma === '' ? before.length : (last?.end ?? before.length);
  const written = entries.map((entry) => indent + entryText(entry, kind, { indent, step })).join(',\n');
  const added = `\n${written}${kind === 'ts' ? ',' : ''}`.replaceAll('\n', eol);
  const gap = text.slice(before.length, close);
  const closing = gap.includes('\n') ? gap : eol + outer;
  return (
    mark + text.slice(0, afterLast) + comma + before.slice(afterLast) + added + closing + text.slice(close)
  );
}

function listOf(text: string, kind: RegistryKind): SourceList | NoList {
  try {
    return (kind === 'json' ? readJson(text) : readModule(text)).list;
  } catch (error) {
    if (!(error instanceof SyntaxError) || !('pos' in error)) throw error;
    return { reason: `it has a syntax error: ${error.message}`, start: Number(error.pos) };
  }
}

function noListError(text: string, { reason, start }: NoList, file: string): NoListError {
  const { line, column } = placesIn(text)(start);
  return new NoListError(
    `${file}:${line}:${column}: entries cannot be added to this registry, because ${reason}. ` +
      'Write the list in this file: export default defineIndexes([…]), or a JSON array.',
  );
}

/** The part of a line before an offset. */
function lineBefore(text: string, offset: number): string {
  return text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset);
}

/** One level of indentation: that of the entries, else that of the file's first indented line, else two spaces. */
function stepOf(text: string, outer: string, inner: string | null): string {
  if (inner !== null && inner.length > outer.length && inner.startsWith(outer)) {
    return inner.slice(outer.length);
  }
  return /^(?:\t| {2,8}(?=\S))/m.exec(text)?.[0] ?? '  ';
}
