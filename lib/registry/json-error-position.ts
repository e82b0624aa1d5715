const SPACE = /[ \t\n\r]*/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: JSON forbids them inside of strings
const STRING = /"(?:[^"\\\u0000-\u001f]|\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4}))*"/y;
const SCALAR = /true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;

/** Raised at the character that JSON does not allow there. */
class Stop extends Error {
  readonly offset: number;
  constructor(offset: number) {
    super();
    this.offset = offset;
  }
}

/**
 * Where a text stops being JSON, lines and columns counted from 1; null: it is JSON. `JSON.parse` names the place for
 * some errors only, and not for the commonest, a comma too many.
 */
export function jsonErrorPosition(text: string): { line: number; column: number } | null {
  try {
    const end = skip(text, value(text, skip(text, 0)));
    if (end < text.length) throw new Stop(end);
    return null;
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    const before = text.slice(0, error.offset).split('\n');
    return { line: before.length, column: (before.at(-1) ?? '').length + 1 };
  }
}

/** Each of these returns the offset behind what it read. */
function value(text: string, at: number): number {
  if (text[at] === '{') return list(text, at, '}', member);
  if (text[at] === '[') return list(text, at, ']', value);
  return match(text[at] === '"' ? STRING : SCALAR, text, at);
}

function list(text: string, at: number, close: string, item: (text: string, at: number) => number): number {
  let next = skip(text, at + 1);
  if (text[next] === close) return next + 1;
  for (;;) {
    next = skip(text, item(text, next));
    if (text[next] === close) return next + 1;
    next = skip(text, expect(text, next, ','));
  }
}

function member(text: string, at: number): number {
  const colon = skip(text, match(STRING, text, at));
  return value(text, skip(text, expect(text, colon, ':')));
}

function expect(text: string, at: number, character: string): number {
  if (text[at] !== character) throw new Stop(at);
  return at + 1;
}

function skip(text: string, at: number): number {
  return match(SPACE, text, at);
}

function match(pattern: RegExp, text: string, at: number): number {
  pattern.lastIndex = at;
  if (!pattern.test(text)) throw new Stop(at);
  return pattern.lastIndex;
}
