import type { IndexStmt } from 'libpg-query';
import { shortened } from '../../lambdas/shared/text.ts';
import type { NotTaken, SqlSource } from '../sources/source.ts';
import { commandNotFollowed } from '../sql/psql-command.ts';
import { readSql, type SqlStatement, type SqlText } from '../sql/read-sql.ts';
import { applyStatement } from '../sql/schema/apply-statement.ts';
import { nameOf } from '../sql/schema/names.ts';
import { Schema } from '../sql/schema/schema.ts';
import { indexesInCode } from './index-in-code.ts';
import { NotFollowed } from './not-followed.ts';
import { withTablespace } from './tablespace.ts';

/** What some SQL makes, run in order. */
export interface Collected {
  readonly schema: Schema;
  readonly notTaken: readonly NotTaken[];
}

/** Runs the statements of all sources over a schema, and lists those of which nobody knows what they make. */
export function collect(sources: readonly SqlSource[]): Collected {
  const schema = new Schema();
  const notTaken: NotTaken[] = [];
  for (const { file, text, hasLines } of sources) {
    // Each file has a session of its own.
    schema.defaultSchema = 'public';
    let tablespace = '';
    const { statements, commands, placeOf } = readSql(text);
    const notFollowed = new NotFollowed(schema);
    const line = (place: { line: number }) => (hasLines ? place.line : null);
    for (const command of commands) {
      const reason = commandNotFollowed(command);
      if (reason === null) continue;
      const what = `command ${beginning(command.text)}`;
      notTaken.push({ file, line: line(placeOf(command.start)), what, reason });
    }
    for (const statement of statements) {
      tablespace = tablespaceAfter(statement, tablespace);
      const { taken, problems } = judge(
        schema,
        statement,
        placeOf,
        text.slice(statement.start, statement.end),
      );
      notTaken.push(...problems.map(({ what, reason, at }) => ({ file, line: line(at), what, reason })));
      const reason = notFollowed.reason(statement.node);
      if (reason !== null) {
        const what = `statement "${beginning(statement.sql)}"`;
        notTaken.push({ file, line: line(statement), what, reason });
      }
      if (taken) applyStatement(schema, file, inTablespace(statement, tablespace));
    }
  }
  return { schema, notTaken };
}

interface Problem {
  readonly what: string;
  readonly reason: string;
  readonly at: { line: number };
}

/** Whether the statement counts, and what it makes that no entry can say; `written`: its text, placeholders and all. */
function judge(
  schema: Schema,
  statement: SqlStatement,
  placeOf: SqlText['placeOf'],
  written: string,
): { taken: boolean; problems: readonly Problem[] } {
  const { node, error, placeholders } = statement;
  if (error !== undefined) {
    const problem = {
      what: `statement "${beginning(written)}"`,
      reason: `it cannot be read: ${error.message}`,
    };
    return { taken: false, problems: [{ ...problem, at: error }] };
  }
  const index = node?.IndexStmt;
  if (index === undefined) {
    const problems = indexesInCode(statement, placeOf).map((at) => ({
      what: `index made in ${node?.DoStmt === undefined ? 'a function' : 'a DO block'}`,
      reason: 'code makes it, when and if it runs; write its CREATE INDEX statement into an entry by hand',
      at,
    }));
    if (node?.DropStmt?.removeType !== 'OBJECT_INDEX' || placeholders.length === 0)
      return { taken: true, problems };
    const reason = `which index it drops depends on ${placeholders.join(', ')}; see whether an entry is too many`;
    return {
      taken: false,
      problems: [{ what: `statement "${beginning(written)}"`, reason, at: statement }],
    };
  }
  const reason =
    placeholders.length > 0
      ? `it has ${placeholders.join(', ')} in it, and what takes its place is not known here`
      : nameTaken(schema, index);
  if (reason === null) return { taken: true, problems: [] };
  const name = index.idxname ?? 'without a name';
  const what = `index ${placeholders.length > 0 ? `on "${beginning(written)}"` : name}`;
  return { taken: false, problems: [{ what, reason, at: statement }] };
}

function nameTaken(schema: Schema, index: IndexStmt): string | null {
  const { schema: own } = nameOf(schema, index.relation);
  const name = { schema: own, name: index.idxname ?? '' };
  if (index.idxname === undefined || !schema.isTaken(name)) return null;
  const earlier = schema.index(name) ?? schema.table(name);
  const where = earlier === undefined ? '' : ` at ${earlier.place.file}:${earlier.place.line}`;
  return `its name has been given already${where}, so that the statement makes nothing`;
}

/** Of default_tablespace, as pg_dump sets it before the objects that have one. */
function tablespaceAfter({ node }: SqlStatement, before: string): string {
  const set = node?.VariableSetStmt;
  if (set?.name !== 'default_tablespace') return before;
  const [value] = set.args ?? [];
  return value !== undefined && 'A_Const' in value ? (value.A_Const.sval?.sval ?? '') : '';
}

/** The statement of an index names what its session had set for it. */
function inTablespace(statement: SqlStatement, tablespace: string): SqlStatement {
  const index = statement.node?.IndexStmt;
  if (index === undefined || index.tableSpace !== undefined || tablespace === '') return statement;
  const sql = withTablespace(statement.sql, tablespace);
  return { ...statement, sql, node: readSql(sql).statements[0]?.node };
}

/** Enough of a statement to know it again. */
function beginning(sql: string): string {
  const line = sql.replaceAll(/\s+/g, ' ').trim();
  return shortened(line, 60);
}
