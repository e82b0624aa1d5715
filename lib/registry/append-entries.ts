import type { IndexEntry } from './define-indexes.ts';
import { entryText, type RegistryKind } from './entry-text.ts';
import { findList } from './source/list.ts';
import { tokensOf } from './source/tokens.ts';

/** A file holds no list that entries could be written into; the message says what it should hold. */
export class NoListError extends Error {
  override readonly name = 'NoListError';
}

/**
 * Writes entries at the end of a registry's list, in the manner of the entries that are there; everything else stays
 * byte for byte, the ends of its lines and its comments included.
 * @throws NoListError where the default export does not write a list out, or the file cannot be read as its kind.
 */
export function appendEntries(fileText: string, kind: RegistryKind, entries: readonly IndexEntry[]): string {
  const tokens = tokensOf(fileText);
  const list = tokens === null ? null : findList(tokens, kind);
  if (list === null) {
    throw new NoListError(
      kind === 'json'
        ? 'it holds no list that entries could be added to; make it a JSON array'
        : 'its default export is made by code, so that no entries can be added to it; ' +
            'write them into a list: export default defineIndexes([…])',
    );
  }
  if (entries.length === 0) return fileText;
  const { open, close, elements, trailingComma } = list;
  const outer = indentationAt(fileText, open.start);
  const last = elements.at(-1);
  const first = last?.[0];
  const ownLines =
    first !== undefined && indentationAt(fileText, first.start).length === columnOf(fileText, first.start);
  const step = stepOf(fileText, outer, ownLines ? indentationAt(fileText, first.start) : null);
  const indent = ownLines ? indentationAt(fileText, first.start) : outer + step;
  const eol = fileText.includes('\r\n') ? '\r\n' : '\n';

  const before = fileText.slice(0, close.start).trimEnd();
  const separated = last === undefined || trailingComma !== null;
  const behindLast = separated ? before.length : (last.at(-1)?.end ?? before.length);
  const comma = separated ? '' : ',';
  const written = entries.map((entry) => indent + entryText(entry, kind, indent, step)).join(',\n');
  const added = `\n${written}${kind === 'ts' ? ',' : ''}`.replaceAll('\n', eol);
  const behind = fileText.slice(before.length, close.start);
  const closing = behind.includes('\n') ? behind : eol + outer;
  return (
    fileText.slice(0, behindLast) +
    comma +
    before.slice(behindLast) +
    added +
    closing +
    fileText.slice(close.start)
  );
}

/**
 * A registry's file, whole.
 * @param importPath where a module gets `defineIndexes` from.
 */
export function newRegistryFile(
  entries: readonly IndexEntry[],
  kind: RegistryKind,
  importPath = 'pg-deploy-step/define-indexes',
): string {
  const empty =
    kind === 'json'
      ? '[]\n'
      : `import { defineIndexes } from '${importPath}';\n\nexport default defineIndexes([]);\n`;
  return appendEntries(empty, kind, entries);
}

/** The white space that the line of an offset begins with. */
function indentationAt(text: string, offset: number): string {
  const line = text.slice(text.lastIndexOf('\n', offset - 1) + 1, offset);
  return /^[ \t]*/.exec(line)?.[0] ?? '';
}

function columnOf(text: string, offset: number): number {
  return offset - (text.lastIndexOf('\n', offset - 1) + 1);
}

/** What one level is indented by: as the entries are, else as the file's first indented line is, else two spaces. */
function stepOf(text: string, outer: string, inner: string | null): string {
  if (inner !== null && inner.length > outer.length && inner.startsWith(outer))
    return inner.slice(outer.length);
  return /^(?:\t| {2,8}(?=\S))/m.exec(text)?.[0] ?? '  ';
}
