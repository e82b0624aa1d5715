import { codeBodyOf } from '../sql/code-body.ts';
import { embeddedStatements } from '../sql/embedded.ts';
import type { Place } from '../sql/places.ts';
import type { SqlStatement, SqlText } from '../sql/read-sql.ts';

/** The places in the code of a DO block, a function or a procedure that make an index, in a text for EXECUTE too. */
export function indexesInCode(statement: SqlStatement, placeOf: SqlText['placeOf']): Place[] {
  const body = codeBodyOf(statement);
  if (body === undefined) return [];
  return embeddedStatements(body.code)
    .filter(({ verb }) => verb === 'create index')
    .map(({ at }) => placeOf(body.offsetOf(at)));
}
