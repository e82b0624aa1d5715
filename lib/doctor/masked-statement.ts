import { shortened } from '../../lambdas/shared/text.ts';

/*
 * The text of a running statement has values of rows in its constants, and statements such as CREATE ROLE have passwords. Only what
 * cannot be one is shown: words, names and operators. Where the end of a constant is not certain, the rest is left out: the server
 * cuts long statements, and a backslash has two meanings.
 */

const REPLACED = '…';

/** At the start of each piece: what comes next. */
/** Without another comment in it, which has an end of its own. */
const COMMENT = /--[^\n]*|\/\*(?:(?!\/\*)[\s\S])*?\*\//y;
const NAME = /"(?:[^"]|"")*"/y;
const WORD = /[\p{L}_][\p{L}\p{N}_$]*/uy;
const PARAMETER = /\$\d+(?![\p{L}\p{N}_$])/uy;
const DOLLAR_QUOTE = /\$(?:[\p{L}_][\p{L}\p{N}_]*)?\$/uy;
const NUMBER = /(?:\d|\.\d)[\p{L}\p{N}_.]*/uy;

/** Statements whose text contains only words and constants. Of all others only the first words are shown. */
const PLAIN =
  /^\(*\s*(select|insert|update|delete|merge|with|values|table|create (unique )?index|reindex|vacuum|analyze|refresh)\b/i;

/** A statement without its constants and comments, on one line. @param most characters */
export function maskedStatement(text: string, most = 200): string {
  const masked = withoutConstants(text).replaceAll(/\s+/g, ' ').trim();
  if (PLAIN.test(masked)) return shortened(masked, most);
  const [words = ''] = /^\w+(?: [A-Za-z]+)?/.exec(masked) ?? [];
  return words === '' ? '' : `${words} ${REPLACED}`;
}

function withoutConstants(text: string): string {
  let at = 0;
  let shown = '';
  const next = (pattern: RegExp) => {
    pattern.lastIndex = at;
    const [found] = pattern.exec(text) ?? [];
    if (found !== undefined) at += found.length;
    return found;
  };
  while (at < text.length) {
    const start = at;
    if (next(COMMENT) !== undefined) shown += ' ';
    else if (text.startsWith('/*', at)) return shown + REPLACED;
    else if (next(PARAMETER) !== undefined || next(NAME) !== undefined) shown += text.slice(start, at);
    else if (next(WORD) !== undefined) {
      // E'…', B'…', X'…', N'…', U&'…'
      shown += text[at] === "'" ? '' : text.slice(start, at);
    } else if (next(NUMBER) !== undefined) shown += REPLACED;
    else if (text[at] === "'") {
      const end = endOfString(text, at);
      shown += REPLACED;
      if (end === null) return shown;
      at = end;
    } else if (text[at] === '$') {
      const tag = next(DOLLAR_QUOTE);
      const end = tag === undefined ? -1 : text.indexOf(tag, at);
      shown += REPLACED;
      if (tag === undefined || end === -1) return shown;
      at = end + tag.length;
    } else if (text[at] === '"') return shown + REPLACED;
    else {
      shown += text[at];
      at += 1;
    }
  }
  return shown;
}

/** The place after a string. Null: its end is missing, or not certain. */
function endOfString(text: string, start: number): number | null {
  const [whole] = /^'(?:[^'\\]|'')*'/.exec(text.slice(start)) ?? [];
  return whole === undefined ? null : start + whole.length;
}
