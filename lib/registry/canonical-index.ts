import { type IndexStmt, parseSync } from 'libpg-query';

/** What a name, a place in the text and the manner of building do not change. */
const APART = ['idxname', 'concurrent', 'if_not_exists', 'location'];

/** What another way of writing the same thing is written as. */
const DEFAULTS: Readonly<Record<string, string>> = { SORTBY_ASC: 'SORTBY_DEFAULT' };

/**
 * A text that two CREATE INDEX statements share if they define the same index under whatever names: case, white space,
 * comments and what is said by default make no difference.
 * @throws SqlError where the statement cannot be read
 */
export function canonicalIndex(sql: string): string {
  const node: Partial<Record<string, unknown>> = parseSync(sql).stmts?.[0]?.stmt ?? {};
  const statement = (node.IndexStmt ?? {}) as IndexStmt;
  const relation = { schemaname: 'public', ...statement.relation, inh: true };
  return JSON.stringify({ ...statement, relation }, (key, value) => {
    if (APART.includes(key)) return undefined;
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
      return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
    }
    return DEFAULTS[value] ?? value;
  });
}
