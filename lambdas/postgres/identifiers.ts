/*
 * Names of tables and indexes. This file imports nothing, so that the linter and the registry can use it without loading
 * the database client.
 */

/** Longest identifier that PostgreSQL stores, in bytes (NAMEDATALEN - 1). It truncates a longer one with a NOTICE. */
export const MAX_IDENTIFIER_BYTES = 63;

/** Truncates a name to a number of bytes, as PostgreSQL does: never in the middle of a character. */
export function clipBytes(name: string, bytes = MAX_IDENTIFIER_BYTES): string {
  if (Buffer.byteLength(name) <= bytes) return name;
  let clipped = '';
  let used = 0;
  for (const character of name) {
    used += Buffer.byteLength(character);
    if (used > bytes) break;
    clipped += character;
  }
  return clipped;
}

/** A table, or the table of an index. */
export interface Table {
  readonly schema: string;
  readonly table: string;
}

/** An index, or another relation. */
export interface Named {
  readonly schema: string;
  readonly name: string;
}

/** Quotes one identifier, also where PostgreSQL does not require it. */
export function quoteIdentifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A name as a string constant that can stand between dollar quotes. */
export function quoteLiteral(name: string): string {
  const escaped = name.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('$', '\\x24');
  return escaped === name ? `'${name}'` : `E'${escaped}'`;
}

/** A name with its schema, quoted. */
export function qualified({ schema, name }: Named): string {
  return `${quoteIdentifier(schema)}.${quoteIdentifier(name)}`;
}

/** A table with its schema, quoted. */
export function quotedTable({ schema, table }: Table): string {
  return qualified({ schema, name: table });
}

/** Key of an index in a Map. */
export function indexKey({ schema, name }: Named): string {
  return JSON.stringify([schema, name]);
}

/** Key of a table in a Map. */
export function tableKey({ schema, table }: Table): string {
  return JSON.stringify([schema, table]);
}

/** A name in quotes, in which a quote is doubled, or a name without quotes. */
const ELEMENT = /[ \t\n\r\f\v]*(?:"((?:[^"]|"")+)"|([^" \t\n\r\f\v,]+))[ \t\n\r\f\v]*(,|$)/y;

/**
 * The names of a list such as search_path, read as PostgreSQL reads it: names without quotes are in lower case, and long names
 * are truncated. Null: it is not a list of names.
 */
export function parseIdentifierList(text: string): string[] | null {
  if (text.trim() === '') return [];
  const names: string[] = [];
  ELEMENT.lastIndex = 0;
  for (;;) {
    const [, quoted, plain, end] = ELEMENT.exec(text) ?? [];
    if (end === undefined) return null;
    names.push(clipBytes(quoted?.replaceAll('""', '"') ?? lowerCase(plain ?? '')));
    if (end === '') return names;
  }
}

/** The text of such a list, for messages: names are in quotes only where they are needed. */
export function identifierList(names: readonly string[]): string {
  return names.map((name) => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : quoteIdentifier(name))).join(', ');
}

/** PostgreSQL changes only the letters of ASCII. */
function lowerCase(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}
