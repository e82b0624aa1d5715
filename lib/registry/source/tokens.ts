/** One token of a module or of a JSON text; white space and comments are left out. */
export interface Token {
  readonly kind: 'punctuator' | 'word' | 'number' | 'string' | 'template' | 'regex';
  readonly text: string;
  /** Offset of its first character. */
  readonly start: number;
  /** Offset behind its last character. */
  readonly end: number;
}

const TRIVIA = /(?:[\s\ufeff]+|\/\/[^\n\r\u2028\u2029]*|\/\*[\s\S]*?\*\/)+/y;
const WORD = /[\p{ID_Start}$_#@\\][\p{ID_Continue}$\\]*/uy;
const NUMBER = /\.?\d[\w.]*/y;
const STRING = /'(?:[^'\\\n\r]|\\\r\n|\\[\s\S])*'|"(?:[^"\\\n\r]|\\\r\n|\\[\s\S])*"/y;
const REGEX = /\/(?:[^/\\[\n\r]|\\[^\n\r]|\[(?:[^\]\\\n\r]|\\[^\n\r])*\])+\/\w*/y;
const PUNCTUATOR = /=>|\.\.\.|\?\.|[=!<>]=+|[\s\S]/uy;

/** Words behind which an expression begins, so that a slash opens a regular expression. */
const OPERATORS = new Set(
  'return typeof case in of delete void throw new else do await yield default'.split(' '),
);

/**
 * The tokens of a registry's file, TypeScript or JSON. A reader of literals of our own, instead of a parser of the
 * language: entries are literals, all around them only has to be skipped, and types are no hindrance.
 * @returns null where the text is cut off within a literal; Node or JSON.parse says better what is wrong with it.
 */
export function tokensOf(text: string): readonly Token[] | null {
  const hashbang = text.startsWith('#!') ? text.search(/\n|$/) : 0;
  return read(text, hashbang, false)?.tokens ?? null;
}

/** @param nested inside of `${`: it ends at the brace that closes it. */
function read(text: string, from: number, nested: boolean): { tokens: Token[]; end: number } | null {
  const tokens: Token[] = [];
  let depth = 0;
  for (let at = skipTrivia(text, from); at < text.length; at = skipTrivia(text, at)) {
    const token = tokenAt(text, at, tokens.at(-1));
    if (token === null) return null;
    if (token.text === '{') depth += 1;
    if (token.text === '}') depth -= 1;
    if (nested && depth < 0) return { tokens, end: token.end };
    tokens.push(token);
    at = token.end;
  }
  return nested ? null : { tokens, end: text.length };
}

function tokenAt(text: string, at: number, before: Token | undefined): Token | null {
  const token = (kind: Token['kind'], end: number | null): Token | null =>
    end === null ? null : { kind, text: text.slice(at, end), start: at, end };
  const first = text.charAt(at);
  if (first === '`') return token('template', templateEnd(text, at + 1));
  if (first === "'" || first === '"') return token('string', match(STRING, text, at));
  if (first === '/' && opensRegex(before)) {
    const regex = token('regex', match(REGEX, text, at));
    if (regex !== null) return regex;
  }
  return (
    token('word', match(WORD, text, at)) ??
    token('number', match(NUMBER, text, at)) ??
    token('punctuator', match(PUNCTUATOR, text, at))
  );
}

/** @param from behind the backtick. @returns the offset behind the closing one. */
function templateEnd(text: string, from: number): number | null {
  for (let at = from; at < text.length; at += 1) {
    if (text[at] === '`') return at + 1;
    if (text[at] === '\\') {
      at += 1;
    } else if (text.startsWith('${', at)) {
      const expression = read(text, at + 2, true);
      if (expression === null) return null;
      at = expression.end - 1;
    }
  }
  return null;
}

function opensRegex(before: Token | undefined): boolean {
  if (before === undefined) return true;
  if (before.kind === 'word') return OPERATORS.has(before.text);
  return before.kind === 'punctuator' && !')]}'.includes(before.text);
}

function skipTrivia(text: string, at: number): number {
  return match(TRIVIA, text, at) ?? at;
}

function match(pattern: RegExp, text: string, at: number): number | null {
  pattern.lastIndex = at;
  return pattern.test(text) ? pattern.lastIndex : null;
}
