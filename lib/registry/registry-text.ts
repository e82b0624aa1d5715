import { visibleJson, visibleLines } from '../../lambdas/shared/visible-text.ts';
import type { IndexEntry } from './define-indexes.ts';
import { inOneLine } from './entry-from-statement.ts';

export type RegistryKind = 'ts' | 'json';

/** How a registry file is written, if its extension is valid: registryKind checks that. */
export function kindOf(file: string | null): RegistryKind {
  return file?.endsWith('.json') ? 'json' : 'ts';
}

/** Line width of the formatter, as in database/indexes.ts. A text that makes its line longer gets a line of its own. */
const LINE_WIDTH = 110;

/** The formatter keeps the value of a shorter key on the line of the key. */
const SHORT_KEY = 5;

/** White space at the beginning of a line, and what one level adds to it. */
interface Indentation {
  readonly indent: string;
  readonly step: string;
}

/** The module that exports `defineIndexes`. */
export const IMPORT_PATH = 'pg-deploy-step/define-indexes';

/** How a module exports its list: with the types of `defineIndexes`, alone, or as a CommonJS module. */
export type ModuleForm = 'defineIndexes' | 'export default' | 'module.exports';

/** A whole registry file. @param form of a module */
export function newRegistryFile(
  entries: readonly IndexEntry[],
  kind: RegistryKind,
  form: ModuleForm = 'defineIndexes',
): string {
  const separator = kind === 'ts' ? ',\n' : '\n';
  const texts = entries.map((entry) => `  ${entryText(entry, kind, { indent: '  ', step: '  ' })}`);
  const list = texts.length === 0 ? '[]' : `[\n${texts.join(',\n')}${separator}]`;
  if (kind === 'json') return `${list}\n`;
  if (form !== 'defineIndexes') return `${form}${form === 'module.exports' ? ' =' : ''} ${list};\n`;
  return `import { defineIndexes } from '${IMPORT_PATH}';\n\nexport default defineIndexes(${list});\n`;
}

/** One entry without a comma after it, and without fields that have their default. The first line is not indented. */
export function entryText(
  entry: IndexEntry,
  kind: RegistryKind,
  { indent, step }: Indentation = { indent: '', step: '  ' },
): string {
  const style = { kind, indent: indent + step, step };
  const fields = statedFields(kind === 'json' ? inOneLine(entry) : entry).map(
    ([field, value]) => style.indent + fieldText(field, value, style),
  );
  return `{\n${fields.join(',\n')}${kind === 'ts' ? ',' : ''}\n${indent}}`;
}

interface Style extends Indentation {
  readonly kind: RegistryKind;
}

type FieldValue = NonNullable<IndexEntry[keyof IndexEntry]>;

/** Omits `critical: false` and empty lists and objects, which are defaults. */
function statedFields(entry: IndexEntry): [keyof IndexEntry, FieldValue][] {
  const { name, sql, critical, description, serves, onDrift, accept, schemas, constraint } = entry;
  const fields: [keyof IndexEntry, FieldValue | undefined][] = [
    ['name', name],
    ['sql', sql],
    ['critical', critical === true ? true : undefined],
    ['description', description],
    ['serves', serves?.length === 0 ? undefined : serves],
    ['onDrift', onDrift],
    ['schemas', schemas],
    ['constraint', constraint && { name: constraint.name, type: constraint.type }],
    ['accept', Object.keys(accept ?? {}).length === 0 ? undefined : accept],
  ];
  return fields.flatMap(([field, value]) => (value === undefined ? [] : [[field, value]]));
}

function fieldText(field: string, value: FieldValue, style: Style): string {
  const { kind, indent, step } = style;
  const key = keyText(kind, field);
  if (typeof value === 'string') {
    const isTemplate = kind === 'ts' && field !== 'name' && value.includes('\n');
    return isTemplate ? `${key}: ${template(value)}` : property(key, stringText(kind, value), style);
  }
  if (typeof value !== 'object') return `${key}: ${value}`;
  const inner = { ...style, indent: indent + step };
  const [open, close] = isList(value) ? ['[', ']'] : ['{ ', ' }'];
  const items = isList(value)
    ? value.map((item) => ({ flat: stringText(kind, item), row: stringText(kind, item) }))
    : Object.entries(value).map(([rule, reason]) => {
        const [name, text] = [keyText(kind, rule), stringText(kind, reason)];
        return { flat: `${name}: ${text}`, row: property(name, text, inner) };
      });
  const flat = `${key}: ${open}${items.map((item) => item.flat).join(', ')}${close}`;
  if (indent.length + flat.length < LINE_WIDTH) return flat;
  const rows = items.map(({ row }) => inner.indent + row).join(',\n');
  return `${key}: ${open.trim()}\n${rows}${kind === 'ts' ? ',' : ''}\n${indent}${close.trim()}`;
}

function isList(value: object): value is readonly string[] {
  return Array.isArray(value);
}

/** A key with its text; one that is too long for the line is written below the key. */
function property(key: string, text: string, { kind, indent, step }: Style): string {
  const line = `${key}: ${text}`;
  const fits = kind === 'json' || key.length < SHORT_KEY || indent.length + line.length < LINE_WIDTH;
  return fits ? line : `${key}:\n${indent}${step}${text}`;
}

function keyText(kind: RegistryKind, name: string): string {
  if (kind === 'json') return visibleJson(name);
  // A plain or quoted __proto__ would set the prototype.
  if (name === '__proto__') return `[${quoted(name)}]`;
  return /^[a-z]\w*$/i.test(name) ? name : quoted(name);
}

function stringText(kind: RegistryKind, text: string): string {
  return kind === 'json' ? visibleJson(text) : quoted(text);
}

/** A string on one line, in the quotes that need fewer escapes. */
function quoted(text: string): string {
  const quote = text.split("'").length > text.split('"').length ? '"' : "'";
  return quote + escaped(text, quote).replaceAll('\n', '\\n') + quote;
}

function template(text: string): string {
  return `\`${escaped(text, '`').replaceAll('${', '\\${')}\``;
}

/**
 * Escapes backslashes, the quote, and characters that nobody can see or that an editor or an encoding could change. Line breaks
 * stay. A template and a string have the same escapes as a message.
 */
function escaped(text: string, quote: string): string {
  return visibleLines(text.replaceAll('\\', '\\\\').replaceAll(quote, `\\${quote}`));
}
