import pg from 'pg';
import { untranslatableAt } from './untranslatable-character.ts';

/*
 * Errors of PostgreSQL quote values of rows: in the detail (`Key (email)=(…)`, `Failing row contains (…)`), in the message
 * (`invalid input syntax for type integer: "…"`), in the hint and in the context; and code in the database raises errors with
 * any text. Here is what remains of an error before anything else of this product sees it. What is not known to be free of
 * values is removed.
 */

/** The text for an error whose whole message can be values. */
const HIDDEN =
  'An error raised by code in the database. Its text is hidden, because it can contain values of rows: read the log of the ' +
  'server, or set database.showRowValues (--show-row-values)';

const ELLIPSIS = '…';

/**
 * Classes of SQLSTATE whose texts are about the server, the session, a lock or a transaction: connection, transaction state,
 * authorization, transaction termination, database name, rollback, resources, object state, intervention.
 */
const ABOUT_THE_SERVER = /^(08|25|28|2D|3B|3D|40|53|55|57)/;

/** Errors about objects that exist, so that their texts contain names of the catalog only. */
const ABOUT_EXISTING_OBJECTS = new Set([
  ...['2BP01', '2B000', '42501', '42809', '42611', '42939', '42P16', '42P17', '42P13'],
  // duplicate_table, _schema, _column, _object, _function, _alias, …
  ...['42P07', '42P06', '42701', '42710', '42723', '42712', '42P03', '42P04', '42P05'],
]);

/**
 * PostgreSQL's source files of definitions: indexes, tables and their constraints. Their errors contain names of objects, and
 * say "some row" where a row is the cause.
 */
const ABOUT_DEFINITIONS = /^(indexcmds|index|tablecmds|parse_utilcmd|heap)\.c$/;

/** Integrity constraints, cardinality, check option: names in the message, values in the detail. */
const VALUES_IN_DETAIL_ONLY = /^(23|21|44)/;

/** Names that a statement uses: syntax, access rule, schema, statement and cursor names, features, limits, files. */
const ABOUT_NAMES = /^(42|3F|0A|26|34|0P|54|58)/;

/** Code that gives an error a text of its own: RAISE, ASSERT, other languages, other servers. */
const RAISED_BY =
  /^(exec_stmt_raise|exec_stmt_assert|PLy_|plpy|plperl|pltcl|throw_tcl|dblink|pgfdw|libpqsrv|rethrow|plv8)/;
const RAISED_IN = /^(plpy_\w+|plperl|pltcl|dblink)\.c$/;
/** Classes of errors that code in the database has, or invents. PostgreSQL's own ones begin with a digit from 0 to 5. */
const CLASS_OF_CODE = /^(P0|38|39|2F|XX|HV|[6-9A-Z])/;

/** Whether the text of an error may have been put together by code in the database. */
function isRaised({ code = '', routine = '', file = '', where }: pg.DatabaseError): boolean {
  if (RAISED_BY.test(routine) || RAISED_IN.test(file)) return true;
  if (code.startsWith('P0') && !file.startsWith('pl_')) return true;
  if (where === undefined) return false;
  // The context shows that code was running. The server's own errors come from its files, which are written in C.
  return !file.endsWith('.c') || (CLASS_OF_CODE.test(code) && !file.startsWith('pl_'));
}

/**
 * An error of the server without values of rows: message, detail and hint contain only texts of the server, names of objects
 * and what the statement itself contains; context and internal query are removed. SQLSTATE and position stay.
 * @param sql the statement and its parameters, which come from the repository: a text that they contain is not hidden
 * @returns a new error, because the stack of an error repeats its message. Any other error is returned as it is
 */
export function withoutRowValues(error: unknown, sql: string): unknown {
  if (!(error instanceof pg.DatabaseError)) return error;
  const raised = isRaised(error);
  const texts = raised ? raisedTexts(error, sql) : serverTexts(error, sql);
  const { length, name, severity, code, position, internalPosition, file, line, routine } = error;
  const { schema, table, column, dataType, constraint } = error;
  return Object.assign(
    new pg.DatabaseError(texts.message, length, name),
    { severity, code, position, internalPosition, file, line, routine },
    // Code that raises an error can set these fields to anything.
    raised ? {} : { schema, table, column, dataType, constraint },
    { detail: texts.detail, hint: texts.hint },
  );
}

interface Texts {
  readonly message: string;
  readonly detail: string | undefined;
  readonly hint: string | undefined;
}

function serverTexts(error: pg.DatabaseError, sql: string): Texts {
  const { code = '', message, detail, hint, position, where, file = '' } = error;
  const isOfStatement = where === undefined && (position !== undefined || ABOUT_DEFINITIONS.test(file));
  if (isOfStatement || ABOUT_THE_SERVER.test(code) || ABOUT_EXISTING_OBJECTS.has(code))
    return { message, detail, hint };
  if (untranslatableAt(sql, error) !== null) return { message, detail, hint };
  if (VALUES_IN_DETAIL_ONLY.test(code)) return { message, detail: keyOf(detail), hint: undefined };
  const fields = [error.schema, error.table, error.column, error.dataType, error.constraint];
  const isField = (name: string) => fields.includes(name);
  if (!ABOUT_NAMES.test(code))
    return { message: withoutNumbers(masked(message, isField)), detail: undefined, hint: undefined };
  const isKnown = (name: string) => isField(name) || isNamedIn(sql, name);
  const shown = (text: string) => masked(withoutNames(text, isKnown), isKnown);
  return { message: shown(message), detail: detail && shown(detail), hint: hint && shown(hint) };
}

/** The columns of a key without its values: `Key (email)=(…) already exists.` Undefined: the detail shows no key. */
function keyOf(detail: string | undefined): string | undefined {
  return detail?.includes('=(') ? detail.replace(/=\(.*\)/s, `=(${ELLIPSIS})`) : undefined;
}

const QUOTES: Readonly<Record<string, string>> = {
  ...{ '"': '"', '“': '”', '”': '”', '„': '“', '«': '»', '»': '«', '「': '」', '『': '』', "'": "'" },
};
/** PostgreSQL quotes names and values, also in other languages than English. An apostrophe in a word is no quote. */
const OPENING = /["“”„«»「『]|(?<![\p{L}\p{N}])'/u;
const ANY_QUOTE = /["“”„«»「」『』']/gu;

/**
 * The text with an ellipsis in place of the first quoted part that is not a known name, and of everything up to the last quote:
 * a value can contain quotes. A text after a colon, which has no quotes, must be known as well.
 */
function masked(text: string, isKnown: (name: string) => boolean): string {
  let shown = '';
  let rest = text;
  for (;;) {
    const at = rest.search(OPENING);
    if (at === -1) return shown + withoutUnquoted(rest, isKnown);
    const end = rest.indexOf(QUOTES[rest[at] ?? ''] ?? '"', at + 1);
    if (end === -1 || !isKnown(rest.slice(at + 1, end).trim())) {
      const last = [...rest.matchAll(ANY_QUOTE)].at(-1)?.index ?? at;
      const tail = last > at ? rest.slice(last) : '';
      return `${shown}${withoutUnquoted(rest.slice(0, at), isKnown)}${rest.slice(at, at + 1)}${ELLIPSIS}${tail.slice(0, 1)}${withoutUnquoted(tail.slice(1), isKnown)}`;
    }
    shown += withoutUnquoted(rest.slice(0, at), isKnown) + rest.slice(at, end + 1);
    rest = rest.slice(end + 1);
  }
}

/** `operator does not exist: VALUE`, `date field value out of range: VALUE`. */
function withoutUnquoted(text: string, isKnown: (name: string) => boolean): string {
  const [, before = '', value = ''] = /^(.+?: )(.*)$/su.exec(text) ?? [];
  return value === '' || isKnown(value) ? text : `${before}${ELLIPSIS}`;
}

/** A name without quotes, of a function or with a schema or a table in front. */
const NAME_WITHOUT_QUOTES = /[^\s()"«»“”„「」]+(?=\()|[^\s().:"«»“”„「」]+(?:\.[^\s().:"«»“”„「」]+)+/gu;

/** `function VALUE(integer) does not exist`, `column VALUE.id does not exist`. */
function withoutNames(text: string, isKnown: (name: string) => boolean): string {
  return text.replace(NAME_WITHOUT_QUOTES, (name) => (isKnown(name) ? name : ELLIPSIS));
}

/** Numbers outside of names, types and quotes: `date field value out of range: 2024-13-1`, not `varchar(3)`. */
const NUMBER = /(?<![\p{L}\p{N}_]|\p{L}\(|\p{L}\(\d{1,9},)(?:0x[\da-f]+|[-+]?\d[\d.,:/-]*)/giu;

function withoutNumbers(text: string): string {
  return text.replace(NUMBER, ELLIPSIS);
}

/** Whether a statement contains a name. Errors name a table as one text, "public.orders", which may be two names in the statement. */
function isNamedIn(sql: string, name: string): boolean {
  return containsWord(sql, name) || name.split('.').every((part) => containsWord(sql, part));
}

/** Whether a text contains another one that does not begin or end in the middle of a word. */
function containsWord(text: string, word: string): boolean {
  const isWordCharacter = (character: string | undefined) =>
    character !== undefined && /[\p{L}\p{N}_]/u.test(character);
  for (let at = text.indexOf(word); at !== -1 && word !== ''; at = text.indexOf(word, at + 1)) {
    if (!isWordCharacter(text[at - 1]) && !isWordCharacter(text[at + word.length])) return true;
  }
  return false;
}

/** RAISE with a format, or with a text for one of its options. Only constants are read. */
const RAISE =
  /\braise\s+(?:exception\s+)?'((?:[^']|'')*)'|\b(message|detail|hint)\s*:?=\s*'((?:[^']|'')*)'/giu;

/** A text that code raised is shown as far as the statement contains it: a constant, or the format of RAISE without its values. */
function raisedTexts({ message, detail, hint }: pg.DatabaseError, sql: string): Texts {
  const constants = [...sql.matchAll(RAISE)].map(([, format, , text]) =>
    (format ?? text ?? '').replaceAll("''", "'"),
  );
  const shown = (text: string | undefined) =>
    constants
      .filter((format) => /\p{L}/u.test(format) && fits(text ?? '', piecesOf(format)))
      .map((format) => piecesOf(format).join(ELLIPSIS))
      .toSorted((one, other) => other.length - one.length)[0];
  return { message: shown(message) ?? HIDDEN, detail: shown(detail), hint: shown(hint) };
}

/** The texts between the placeholders of a format of RAISE: % is a placeholder, %% a percent sign. */
function piecesOf(format: string): string[] {
  return format
    .split('%%')
    .map((part) => part.split('%'))
    .reduce((before, part) => [
      ...before.slice(0, -1),
      `${before.at(-1) ?? ''}%${part[0] ?? ''}`,
      ...part.slice(1),
    ]);
}

/** Whether a text consists of the pieces, in their order, with any texts between them. */
function fits(text: string, pieces: readonly string[]): boolean {
  const [first = '', ...others] = pieces;
  const last = others.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first)) return false;
  let at = first.length;
  for (const piece of others) {
    const found = text.indexOf(piece, at);
    if (found === -1) return false;
    at = found + piece.length;
  }
  return text.length >= at + last.length && text.endsWith(last);
}

/** Makes every error of the client's statements one without values of rows. To be called before its first statement. */
export function hideRowValues(client: pg.Client): void {
  const query = client.query.bind(client) as (...parameters: unknown[]) => unknown;
  const hiding = (...parameters: unknown[]): unknown => {
    const answer = query(...parameters);
    if (!(answer instanceof Promise)) return answer;
    return answer.catch((error: unknown) => {
      throw withoutRowValues(error, sentText(parameters));
    });
  };
  Object.defineProperty(client, 'query', { value: hiding, configurable: true, writable: true });
}

/** What was sent to the server: the statement, and the parameters that are text, also as bytes. */
function sentText([statement, values]: readonly unknown[]): string {
  const query = typeof statement === 'object' && statement !== null ? statement : {};
  const text = typeof statement === 'string' ? statement : 'text' in query ? String(query.text) : '';
  const sent = 'values' in query ? query.values : values;
  const texts = Array.isArray(sent)
    ? sent.filter((value) => typeof value === 'string' || Buffer.isBuffer(value))
    : [];
  return [text, ...texts.map(String)].join('\n');
}
