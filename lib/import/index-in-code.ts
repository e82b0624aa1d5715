import { type Place, placesIn } from '../sql/places.ts';
import type { SqlStatement } from '../sql/read-sql.ts';
import { tokensOf } from '../sql/tokens.ts';

const CREATE_INDEX = /\bcreate\s+(?:unique\s+)?index\b/gi;

/**
 * The places in the code of a DO block, a function or a procedure that make an index, in a text for EXECUTE too; what its
 * comments say does not count.
 */
export function indexesInCode(statement: SqlStatement): Place[] {
  const { node, sql } = statement;
  if (node?.DoStmt === undefined && node?.CreateFunctionStmt === undefined) return [];
  const placeOf = placesIn(sql);
  const found = tokensOf(sql)
    .filter((token) => token.isString)
    .flatMap(({ start, text }) => {
      const body = withoutComments(text);
      return [...body.matchAll(CREATE_INDEX)].map(({ index }) => placeOf(start + index));
    });
  // The text of a function in standard SQL is no string.
  const all =
    found.length > 0
      ? found
      : [...withoutComments(sql).matchAll(CREATE_INDEX)].map(({ index }) => placeOf(index));
  return all.map(({ line, column }) => ({
    line: statement.line + line - 1,
    column: line === 1 ? statement.column + column - 1 : column,
  }));
}

/** Comments become spaces, so that every place stays. Strings are passed over, as they may hold what looks like one. */
function withoutComments(code: string): string {
  return code.replaceAll(/'[^']*'|--[^\n]*|\/\*[\s\S]*?\*\//g, (part) =>
    part.startsWith("'") ? part : part.replaceAll(/[^\n]/g, ' '),
  );
}
