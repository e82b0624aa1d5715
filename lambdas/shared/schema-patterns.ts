/*
 * `schemas` of a registry or of an entry: names of schemas, in which * stands for any text and ? for one character. A pattern
 * after ! excludes schemas that another one matches, wherever it is in the list. Names are compared as in the catalog, so upper
 * and lower case differ. The schemas of PostgreSQL and of this product never match.
 */

const EXCLUDES = '!';

/** Schemas of PostgreSQL, and the one of this product. No other schema can have a name that begins with pg_. */
const RESERVED = ['!pg_*', '!information_schema', '!deploy_step'];

function isReserved(schema: string): boolean {
  return RESERVED.some((pattern) => isMatch(textOf(pattern), [...schema]));
}

/**
 * Whether a schema is one of an entry's schemas.
 * @param patterns without a problem: see `patternProblem`
 */
export function schemaMatcher(patterns: readonly string[]): (schema: string) => boolean {
  const { included, excluded } = grouped(patterns);
  return (schema) => {
    const characters = [...schema];
    const matches = (pattern: readonly string[]) => isMatch(pattern, characters);
    return included.some(matches) && !excluded.some(matches);
  };
}

/**
 * The same for statements: patterns of LIKE with its default escape character.
 * @param patterns as those of `schemaMatcher`
 */
export function likePatterns(patterns: readonly string[]): { included: string[]; excluded: string[] } {
  const { included, excluded } = grouped(patterns);
  return { included: included.map(likePattern), excluded: excluded.map(likePattern) };
}

/** The characters of the patterns that include schemas, and of those that exclude some. */
function grouped(patterns: readonly string[]): { included: string[][]; excluded: string[][] } {
  const { included = [], excluded = [] } = Object.groupBy([...RESERVED, ...patterns], (pattern) =>
    pattern.startsWith(EXCLUDES) ? 'excluded' : 'included',
  );
  return { included: included.map(textOf), excluded: excluded.map(textOf) };
}

function likePattern(pattern: readonly string[]): string {
  return pattern.map((character) => LIKE[character] ?? character).join('');
}

const LIKE: Readonly<Record<string, string>> = {
  ...{ '*': '%', '?': '_' },
  ...{ '%': '\\%', _: '\\_', '\\': '\\\\' },
};

/** The characters of a pattern without its exclamation mark. */
function textOf(pattern: string): string[] {
  return [...(pattern.startsWith(EXCLUDES) ? pattern.slice(EXCLUDES.length) : pattern)];
}

/** Compares a name with a pattern in a time that is proportional to both lengths. */
function isMatch(pattern: readonly string[], name: readonly string[]): boolean {
  let at = 0;
  let star = -1;
  let afterStar = 0;
  for (let position = 0; position < name.length; ) {
    if (pattern[at] === '*') {
      star = at;
      at += 1;
      afterStar = position;
    } else if (pattern[at] === '?' || pattern[at] === name[position]) {
      at += 1;
      position += 1;
    } else if (star !== -1) {
      // The last star stands for one character more.
      afterStar += 1;
      at = star + 1;
      position = afterStar;
    } else return false;
  }
  return pattern.slice(at).every((character) => character === '*');
}

/** What is wrong with a list of patterns. */
interface PatternProblem {
  /** Position of the wrong pattern. Undefined: the whole list. */
  readonly at?: number;
  readonly message: string;
}

/** Checks `schemas`. An empty list is valid: the search path decides, as without the field. Null: there is no problem. */
export function patternProblem(patterns: readonly string[]): PatternProblem | null {
  for (const [at, pattern] of patterns.entries()) {
    const text = textOf(pattern).join('');
    if (text === '')
      return { at, message: 'it must be the name of a schema, or a pattern such as "tenant_*"' };
    if (isReserved(text) && !pattern.startsWith(EXCLUDES))
      return { at, message: 'no index is built in a schema of PostgreSQL, or in deploy_step' };
    if (patterns.indexOf(pattern) !== at) return { at, message: 'the list has this pattern twice' };
  }
  return patterns.length > 0 && patterns.every((pattern) => pattern.startsWith(EXCLUDES))
    ? { message: 'it only excludes schemas: add a pattern that matches some, such as "*"' }
    : null;
}
