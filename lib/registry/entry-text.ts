import type { IndexEntry } from './define-indexes.ts';

export type RegistryKind = 'ts' | 'json';

/** Longest line that is written where a text can stand on a line of its own, as database/indexes.ts is formatted. */
const LINE_WIDTH = 110;

/** Keys below this length gain next to nothing from a line of their own. */
const SHORT_KEY = 5;

/**
 * One entry as it stands in a registry, without a comma behind it: only the fields that say something.
 * @param indent white space before the entry; its first line comes without it.
 * @param step white space that a field has more.
 */
export function entryText(entry: IndexEntry, kind: RegistryKind, indent: string, step = '  '): string {
  const inner = indent + step;
  const fields = statedFields(entry).map(([field, value]) => fieldText(kind, field, value, inner, step));
  // JSON takes no comma behind the last one.
  const lines = fields.map((text, position) =>
    kind === 'ts' || position < fields.length - 1 ? `${inner}${text},\n` : `${inner}${text}\n`,
  );
  return `{\n${lines.join('')}${indent}}`;
}

type FieldValue = IndexEntry[keyof IndexEntry];

/** What goes without saying is left out: false, empty lists and objects. */
function statedFields(entry: IndexEntry): [keyof IndexEntry, FieldValue][] {
  const { name, sql, critical, description, serves, onDrift, accept } = entry;
  const fields: [keyof IndexEntry, FieldValue][] = [
    ['name', name],
    ['sql', sql],
    ['critical', critical === true ? true : undefined],
    ['description', description],
    ['serves', serves?.length === 0 ? undefined : serves],
    ['onDrift', onDrift],
    ['accept', Object.keys(accept ?? {}).length === 0 ? undefined : accept],
  ];
  return fields.filter(([, value]) => value !== undefined);
}

function fieldText(
  kind: RegistryKind,
  field: string,
  value: FieldValue,
  indent: string,
  step: string,
): string {
  const write = kind === 'json' ? JSON.stringify : line;
  const key = kind === 'json' ? JSON.stringify(field) : field;
  if (typeof value === 'string') {
    if (kind === 'ts' && field !== 'name' && value.includes('\n')) return `${key}: ${template(value)}`;
    return property(key, write(value), kind, indent, step);
  }
  if (typeof value !== 'object') return `${key}: ${value}`;
  const inner = indent + step;
  const [open, close, items] = Array.isArray(value)
    ? ['[', ']', value.map((item) => write(item))]
    : [
        '{ ',
        ' }',
        Object.entries(value).map(([rule, reason]) => `${propertyName(kind, rule)}: ${write(reason)}`),
      ];
  const flat = `${key}: ${open}${items.join(', ')}${close}`;
  if (indent.length + flat.length < LINE_WIDTH) return flat;
  const rows = Array.isArray(value)
    ? items
    : Object.entries(value).map(([rule, reason]) =>
        property(propertyName(kind, rule), write(reason), kind, inner, step),
      );
  const comma = kind === 'ts' ? ',' : '';
  return `${key}: ${open.trim()}\n${inner}${rows.join(`,\n${inner}`)}${comma}\n${indent}${close.trim()}`;
}

/** A text that is too long for the line of its key stands below it; the formatter leaves short keys beside theirs. */
function property(key: string, text: string, kind: RegistryKind, indent: string, step: string): string {
  const beside = `${key}: ${text}`;
  const fits = kind === 'json' || key.length < SHORT_KEY || indent.length + beside.length < LINE_WIDTH;
  return fits ? beside : `${key}:\n${indent}${step}${text}`;
}

function propertyName(kind: RegistryKind, name: string): string {
  if (kind === 'json') return JSON.stringify(name);
  // Written as it is, __proto__ would set the prototype.
  return /^[a-z]\w*$/i.test(name) ? name : name === '__proto__' ? `[${line(name)}]` : line(name);
}

/** A text between the quotes that need fewer escapes. */
function line(text: string): string {
  const quote = text.split("'").length > text.split('"').length ? '"' : "'";
  return quote + escaped(text, quote).replaceAll('\n', '\\n') + quote;
}

function template(text: string): string {
  return `\`${escaped(text, '`').replaceAll('${', '\\${')}\``;
}

/** Backslashes, the quote, and what an editor or the file's encoding could change; line breaks stay. */
function escaped(text: string, quote: string): string {
  return text
    .replaceAll('\\', '\\\\')
    .replaceAll(quote, `\\${quote}`)
    .replaceAll(/(?!\n)\p{Cc}|\p{Cs}|[\u2028\u2029\ufeff]/gu, (character) => {
      if (character === '\t') return '\\t';
      if (character === '\r') return '\\r';
      return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;
    });
}
