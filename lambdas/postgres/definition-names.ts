/*
 * The names in the text of a definition. They show what a definition may call without asking the server to read it: reading
 * a definition can already run code.
 */

/** What the text of a definition names. */
export interface DefinitionNames {
  /** Functions that are called. `schema` null: it is looked up in the search path. */
  readonly functions: readonly { schema: string | null; name: string }[];
  readonly operators: readonly string[];
  /** All identifiers: each can name a type. */
  readonly identifiers: readonly string[];
  /**
   * It has a literal that can be an array, a row or a range. The server converts such a literal when it reads the statement,
   * and calls the input functions of its elements.
   */
  readonly hasCompositeLiteral: boolean;
}

/** The operators that a keyword calls. */
const OPERATORS_OF_KEYWORDS: Readonly<Record<string, readonly string[]>> = {
  between: ['>=', '<=', '<', '>'],
  case: ['='],
  distinct: ['='],
  ilike: ['~~*', '!~~*'],
  in: ['=', '<>'],
  like: ['~~', '!~~'],
  nullif: ['='],
  similar: ['~', '!~'],
};

const TOKEN =
  /(?<literal>(?:[eubn]|u&)?'(?:[^']|'')*'|\$(?<tag>[\p{L}_]?[\p{L}\p{N}_]*)\$.*?\$\k<tag>\$)|"(?<quoted>(?:[^"]|"")+)"|(?<word>[\p{L}_][\p{L}\p{N}_$]*)|(?<operator>[-+*/<>=~!@#%^&|`?]+)|\S/gisu;

/** Reads the names. It needs no parser: a name too many only costs a check. */
export function namesIn(definition: string): DefinitionNames {
  const functions: { schema: string | null; name: string }[] = [];
  const operators = new Set<string>();
  const identifiers = new Set<string>();
  let hasCompositeLiteral = false;
  // The identifiers before the current token: a qualified name.
  let path: string[] = [];
  let afterDot = false;
  // The parentheses that are open in a list of storage parameters, which call nothing. Null: this is no such list.
  let parameters: number | null = null;
  for (const match of definition.matchAll(TOKEN)) {
    const { literal, quoted, word, operator } = match.groups ?? {};
    if (parameters !== null && (parameters > 0 || match[0] === '(')) {
      if (match[0] === '(') parameters += 1;
      if (match[0] === ')') parameters -= 1;
      if (parameters === 0) parameters = null;
      continue;
    }
    // WITH is a reserved word. "with time zone" has no parentheses.
    parameters = word?.toLowerCase() === 'with' ? 0 : null;
    const name = quoted?.replaceAll('""', '"') ?? word?.toLowerCase();
    if (name !== undefined) {
      identifiers.add(name);
      if (word !== undefined) for (const called of OPERATORS_OF_KEYWORDS[name] ?? []) operators.add(called);
      path = afterDot ? [...path, name] : [name];
      afterDot = false;
      continue;
    }
    if (match[0] === '.') {
      afterDot = true;
      continue;
    }
    const called = path.at(-1);
    if (match[0] === '(' && called !== undefined)
      functions.push({ schema: path.at(-2) ?? null, name: called });
    if (operator !== undefined) operators.add(operator);
    if (literal !== undefined && canBeComposite(literal)) hasCompositeLiteral = true;
    path = [];
    afterDot = false;
  }
  return { functions, operators: [...operators], identifiers: [...identifiers], hasCompositeLiteral };
}

/** Whether a literal begins like an array, a row or a range. A literal with escapes can begin with every character. */
function canBeComposite(literal: string): boolean {
  const content = literal.replace(/^(?:\$[^$]*\$|(?:[eubn]|u&)?')/i, '');
  return /^(?:e|u&)/i.test(literal) ? /[\\[({]/.test(content) : /^\s*[[({]/.test(content);
}
