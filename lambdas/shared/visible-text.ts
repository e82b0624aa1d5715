/*
 * Text that the project did not write: names in a database, messages of servers, files, execution input, flags. It can hold
 * characters that a terminal obeys, that end a line, or that nobody can see. Everything that shows such a text uses these
 * functions: each output at its boundary, and each message that quotes a value.
 */

/**
 * Everything except letters, marks, numbers, punctuation, symbols and spaces: control characters (C0, DEL, C1), line and
 * paragraph separators, bidirectional marks and other format characters, lone surrogates, characters without a meaning. Also
 * the letters and marks that no font draws, such as fillers and variation selectors. The selector in ⚠️ is drawn.
 */
const INVISIBLE =
  /[^\p{L}\p{M}\p{N}\p{P}\p{S}\p{Zs}]|(?!(?<=\p{Extended_Pictographic})\ufe0f)\p{Default_Ignorable_Code_Point}/gu;

/** The same, except a line end. */
const INVISIBLE_IN_LINE = new RegExp(`(?!\\n)(?:${INVISIBLE.source})`, 'gu');

const NAMED_ESCAPES: Readonly<Record<string, string>> = { '\n': '\\n', '\r': '\\r', '\t': '\\t' };

/** Longest quoted value in characters: a name of PostgreSQL has at most 63 bytes. */
const LONGEST_VALUE = 80;

/** Commands that Azure Pipelines, GitHub and TeamCity find at any place in a line of a log: `##vso[…]`, `##[…]`, `##teamcity[…]`. */
const COMMAND = /##(?=\w*\[)/g;
const ESCAPED_COMMAND = '#\\u0023';

/** Commands that GitHub finds at the start of a line: `::error …`. */
const COMMAND_AT_START = /^([^\S\n]*):(?=:)/gm;

/** The text with an escape in place of each invisible character: `\n`, `\t`, `\u001b`, `\u{e0001}`. It has no line end. */
export function visible(text: string): string {
  return replaceInvisible(text, escapeOf).replace(COMMAND, ESCAPED_COMMAND);
}

/** Like `visible`, but keeps line ends: for a text of several lines whose single values have been made visible before. */
export function visibleLines(text: string): string {
  return text.replace(INVISIBLE_IN_LINE, escapeOf).replace(COMMAND, ESCAPED_COMMAND);
}

/** The text in one line: line ends, tabs and repeated spaces become one space, other invisible characters are escaped. */
export function oneLine(text: string): string {
  return visible(text.replace(/\s+/g, ' ').trim());
}

/** @param escaped returns the escape of one invisible character, which is a code point or half of a surrogate pair */
export function replaceInvisible(text: string, escaped: (character: string) => string): string {
  return text.replace(INVISIBLE, escaped);
}

/**
 * A value from outside for a message: in double quotes, on one line, with visible escapes. A longer one ends with an ellipsis.
 * @param most characters before the ellipsis. Default: 80
 */
export function quoted(text: string, most = LONGEST_VALUE): string {
  let shown = '';
  // A text of megabytes is not escaped as a whole. No escape and no surrogate pair is cut.
  for (const character of text.slice(0, most + 1)) {
    const escaped = inQuotes(character, shown);
    if (shown.length + escaped.length > most) return `"${shown}…"`;
    shown += escaped;
  }
  return `"${shown}"`;
}

function inQuotes(character: string, before: string): string {
  if (character === '"' || character === '\\') return `\\${character}`;
  return character === '#' && before.endsWith('#') ? '\\u0023' : visible(character);
}

/** A value of any type for a message: a string in quotes, a number, true, false, null, "a list" or "an object". */
export function quotedValue(value: unknown): string {
  if (typeof value === 'string') return quoted(value);
  if (value === null || ['number', 'boolean', 'undefined', 'bigint'].includes(typeof value))
    return String(value);
  return Array.isArray(value) ? 'a list' : 'an object';
}

/**
 * JSON with the same value for every reader, in which invisible characters are escaped in strings and keys, and in which no
 * log of CI finds a command.
 * @param indent as for JSON.stringify
 */
export function visibleJson(value: unknown, indent?: number): string {
  const json = JSON.stringify(value, null, indent);
  return json
    .replace(INVISIBLE_IN_LINE, (character) =>
      character.replace(/[\s\S]/g, (unit) => `\\u${hex(unit.charCodeAt(0), 4)}`),
    )
    .replace(COMMAND, ESCAPED_COMMAND);
}

/** The text without commands that a CI system would execute when it reads them in a log. */
export function withoutCommands(text: string): string {
  return text.replace(COMMAND, ESCAPED_COMMAND).replace(COMMAND_AT_START, '$1\\u003a');
}

/** What a mail client or a chat turns into a link: a host after a scheme, after www., after @, before a path. */
const HOST =
  /(?::\/\/|\bwww\.|@)[^\s/?#"'<>|)\]]*|(?<![\p{L}\d.-])[\p{L}\d.-]*\.\p{L}{2,}(?=(?::\d+)?[/?#])/giu;

/**
 * The text without links for mails and chats: a scheme, and the dots of a host, are shown as escapes. `<…>` of Slack and
 * `[…](…)` of Markdown lose their meaning.
 */
export function withoutLinks(text: string): string {
  return text
    .replace(HOST, (host) => host.replace('://', ':\\u002f/').replaceAll('.', '\\u002e'))
    .replace(/<(?=[\p{L}!/@#?])/gu, '\\u003c')
    .replace(/\](?=\()/g, '\\u005d');
}

function escapeOf(character: string): string {
  const named = NAMED_ESCAPES[character];
  if (named !== undefined) return named;
  const code = character.codePointAt(0) ?? 0;
  return code > 0xffff ? `\\u{${hex(code, 5)}}` : `\\u${hex(code, 4)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, '0');
}
