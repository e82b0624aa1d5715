import { readText } from './literal.ts';
import type { Token } from './tokens.ts';

/** A field of an object literal: the token of its key and those of its value. */
export interface SourceField {
  readonly key: Token;
  readonly value: readonly Token[];
}

export interface SourceObject {
  /** Its opening brace. */
  readonly open: Token;
  /** By name; written out with a colon, no methods, shorthands or spreads. */
  readonly fields: ReadonlyMap<string, SourceField>;
}

/** The list that a file exports by default. */
export interface SourceList {
  readonly open: Token;
  readonly close: Token;
  /** The tokens of each element, without the commas. */
  readonly elements: readonly (readonly Token[])[];
  /** A comma behind the last element. */
  readonly trailingComma: Token | null;
}

const OPENING = ['(', '[', '{'];
const CLOSING = [')', ']', '}'];

/** The list of entries, where the file's default export writes one out; null where it is made by code. */
export function findList(tokens: readonly Token[], kind: 'ts' | 'json'): SourceList | null {
  const depths = depthsOf(tokens);
  const top = (index: number, text: string) => depths[index] === 0 && tokens[index]?.text === text;
  const start = kind === 'json' ? 0 : exported();
  return start === null ? null : listAt(start, new Set());

  function exported(): number | null {
    for (let index = 0; index < tokens.length; index += 1) {
      if (!top(index, 'export')) continue;
      if (tokens[index + 1]?.text === 'default') return index + 2;
      if (tokens[index + 1]?.text !== '{') continue;
      for (let inner = index + 2; inner < tokens.length && tokens[inner]?.text !== '}'; inner += 1) {
        if (tokens[inner]?.text === 'as' && tokens[inner + 1]?.text === 'default') return inner - 1;
      }
    }
    return null;
  }

  function listAt(index: number, seen: ReadonlySet<string>): SourceList | null {
    const token = tokens[index];
    if (token === undefined) return null;
    if (token.text === '(') return listAt(index + 1, seen);
    if (token.text === '[') return literalAt(index);
    if (token.kind !== 'word' || seen.has(token.text)) return null;
    const argument = argumentAt(index);
    if (argument !== null) return listAt(argument, seen);
    if (['.', '(', '[', '?.'].includes(tokens[index + 1]?.text ?? '')) return null;
    const declared = declarationOf(token.text);
    return declared === null ? null : listAt(declared, new Set([...seen, token.text]));
  }

  /** The argument of a function that gives it back as it is. */
  function argumentAt(index: number): number | null {
    const callee =
      tokens[index]?.text === 'Object' && tokens[index + 2]?.text === 'freeze' ? index + 2 : index;
    if (callee === index && tokens[index]?.text !== 'defineIndexes') return null;
    return tokens[callee + 1]?.text === '(' ? callee + 2 : null;
  }

  /** Where the value of a variable of the module begins. */
  function declarationOf(name: string): number | null {
    for (let index = 1; index < tokens.length; index += 1) {
      if (!top(index, name) || !['const', 'let', 'var'].includes(tokens[index - 1]?.text ?? '')) continue;
      for (let next = index + 1; next < tokens.length && !top(next, ';'); next += 1) {
        if (top(next, '=')) return next + 1;
      }
    }
    return null;
  }

  function literalAt(index: number): SourceList | null {
    const parts = partsAt(tokens, index);
    const open = tokens[index];
    if (parts === null || open === undefined) return null;
    // What follows may make another list of it: .map(…), .filter(…).
    if (['.', '?.', '[', '('].includes(tokens[parts.end + 1]?.text ?? '')) return null;
    return { open, close: parts.close, elements: parts.parts, trailingComma: parts.trailingComma };
  }
}

/** Every object literal that holds a field `name` with a literal text, by that text, in the order of the file. */
export function namedObjects(tokens: readonly Token[]): ReadonlyMap<string, readonly SourceObject[]> {
  const objects = tokens.flatMap((token, index) => {
    const object = token.text === '{' ? objectAt(tokens, index) : null;
    const name = object === null ? null : fieldText(object, 'name');
    return object === null || name === null ? [] : [{ name, object }];
  });
  const found = new Map<string, SourceObject[]>();
  for (const { name, object } of objects) found.set(name, [...(found.get(name) ?? []), object]);
  return found;
}

/** The object literal that begins at a token; null where none does. */
export function objectAt(tokens: readonly Token[], index: number): SourceObject | null {
  const open = tokens[index];
  const parts = open?.text === '{' ? partsAt(tokens, index) : null;
  if (open === undefined || parts === null) return null;
  const fields = new Map<string, SourceField>();
  for (const [key, colon, ...value] of parts.parts) {
    if (key === undefined || colon?.text !== ':') continue;
    fields.set(readText(key)?.value ?? key.text, { key, value });
  }
  return { open, fields };
}

function fieldText(object: SourceObject, field: string): string | null {
  const [token, ...others] = object.fields.get(field)?.value ?? [];
  return token === undefined || others.length > 0 ? null : (readText(token)?.value ?? null);
}

interface Parts {
  readonly parts: readonly (readonly Token[])[];
  readonly close: Token;
  /** Index of the closing token. */
  readonly end: number;
  readonly trailingComma: Token | null;
}

/** What stands between a bracket and the one that closes it, parted at its commas. */
function partsAt(tokens: readonly Token[], index: number): Parts | null {
  const parts: Token[][] = [[]];
  let depth = 0;
  for (let at = index + 1; at < tokens.length; at += 1) {
    const token = tokens[at];
    if (token === undefined) return null;
    if (depth === 0 && CLOSING.includes(token.text)) {
      const before = tokens[at - 1];
      const trailingComma = at > index + 1 && before?.text === ',' ? before : null;
      return { parts: parts.filter((part) => part.length > 0), close: token, end: at, trailingComma };
    }
    if (OPENING.includes(token.text)) depth += 1;
    if (CLOSING.includes(token.text)) depth -= 1;
    if (depth === 0 && token.text === ',') parts.push([]);
    else parts.at(-1)?.push(token);
  }
  return null;
}

/** How many brackets are open around each token. */
function depthsOf(tokens: readonly Token[]): readonly number[] {
  let depth = 0;
  return tokens.map((token) => {
    if (CLOSING.includes(token.text)) depth -= 1;
    const here = depth;
    if (OPENING.includes(token.text)) depth += 1;
    return here;
  });
}
