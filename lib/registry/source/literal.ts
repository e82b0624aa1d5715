import type { Token } from './tokens.ts';

/** The value of a literal text, and where each of its characters stands. */
export interface TextLiteral {
  readonly value: string;
  /** Offset in the file of each UTF-16 unit of the value, and of the closing quote. */
  readonly offsets: readonly number[];
}

const ESCAPED: Readonly<Record<string, string>> = {
  n: '\n',
  r: '\r',
  t: '\t',
  b: '\b',
  f: '\f',
  v: '\v',
  '0': '\0',
};
const PART =
  /\\u\{([0-9a-fA-F]+)\}|\\u([0-9a-fA-F]{4})|\\x([0-9a-fA-F]{2})|\\(\r\n|[\n\r\u2028\u2029])|\\([\s\S])|\r\n?|[\s\S]/y;

/** What a string, or a template without expressions, stands for. Null: the token is neither. */
export function readText(token: Token): TextLiteral | null {
  if (token.kind !== 'string' && token.kind !== 'template') return null;
  const raw = token.text.slice(1, -1);
  let value = '';
  const offsets: number[] = [];
  for (PART.lastIndex = 0; PART.lastIndex < raw.length; ) {
    const offset = token.start + 1 + PART.lastIndex;
    if (token.kind === 'template' && raw.startsWith('${', PART.lastIndex)) return null;
    const part = partOf(PART.exec(raw));
    for (let unit = 0; unit < part.length; unit += 1) offsets.push(offset);
    value += part;
  }
  offsets.push(token.end - 1);
  return { value, offsets };
}

function partOf(match: RegExpExecArray | null): string {
  const [whole = '', long, short, byte, joined, escaped] = match ?? [];
  const code = long ?? short ?? byte;
  if (code !== undefined) return String.fromCodePoint(Number.parseInt(code, 16));
  if (joined !== undefined) return '';
  if (escaped !== undefined) return ESCAPED[escaped] ?? escaped;
  // A template's line breaks are \n however the file ends its lines.
  return whole.startsWith('\r') ? '\n' : whole;
}
