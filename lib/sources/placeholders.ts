import { isDirective } from '../sql/lexer.ts';
import { countUpTo } from '../sql/places.ts';
import type { PlaceholderValues, SqlSource } from './sql-source.ts';

/** `${schema}` as Flyway writes it, and `{{schema}}` or `{{ .Schema }}` as templates do. */
const PLACEHOLDER = /\$\{([^{}\n]+)\}|\{\{-?([^{}\n]+?)-?\}\}/g;

/** The first condition or loop of a template. Null: there is none. */
export function conditionIn({ text }: SqlSource): { at: number; text: string } | null {
  for (const match of text.matchAll(PLACEHOLDER)) {
    if (isDirective(match[0])) return { at: match.index, text: match[0] };
  }
  return null;
}

/** The name of a placeholder, without its braces, blanks and the dot of Go's templates. */
export function placeholderName(text: string): string {
  return text
    .replace(/^(?:\$\{|\{\{-?)/, '')
    .replace(/-?\}{1,2}$/, '')
    .trim()
    .replace(/^\./, '');
}

/**
 * Reads `NAME=VALUE`.
 * @returns what is wrong with it; otherwise the name and the value
 */
export function parsePlaceholder(text: string): { name: string; value: string } | { problem: string } {
  const at = text.indexOf('=');
  if (at === -1) return { problem: 'must be NAME=VALUE, such as schema=public' };
  const name = placeholderName(text.slice(0, at));
  const value = text.slice(at + 1);
  if (name === '') return { problem: 'must have a name before the =, such as schema=public' };
  if (/[\r\n\0]/.test(value)) return { problem: 'must have a value on one line' };
  return { name, value };
}

/**
 * Replaces the placeholders whose values are known, wherever they are: migration tools replace them before PostgreSQL reads
 * the text. The source keeps the text of the file, for places and for changes.
 */
export function withValues(source: SqlSource, values: PlaceholderValues): SqlSource {
  if (values.size === 0) return source;
  const parts: string[] = [];
  /** Where a replaced part starts and ends in the new text, and where its placeholder ends in the file. */
  const replaced: { readonly start: number; readonly end: number; readonly inFile: Range }[] = [];
  let length = 0;
  let from = 0;
  const add = (part: string) => {
    parts.push(part);
    length += part.length;
  };
  for (const match of source.text.matchAll(PLACEHOLDER)) {
    const value = values.get(placeholderName(match[0]));
    if (value === undefined) continue;
    add(source.text.slice(from, match.index));
    from = match.index + match[0].length;
    replaced.push({ start: length, end: length + value.length, inFile: { start: match.index, end: from } });
    add(value);
  }
  if (replaced.length === 0) return source;
  add(source.text.slice(from));
  const starts = replaced.map(({ start }) => start);
  const offsetOf = (at: number) => {
    const last = replaced[countUpTo(starts, at) - 1];
    if (last === undefined) return at;
    return at < last.end ? last.inFile.start : last.inFile.end + at - last.end;
  };
  return { ...source, text: parts.join(''), origin: { text: source.text, offsetOf } };
}

interface Range {
  readonly start: number;
  readonly end: number;
}
