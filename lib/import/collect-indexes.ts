import type { IndexStmt } from 'libpg-query';
import { shortened } from '../../lambdas/shared/text.ts';
import { conditionIn } from '../sources/placeholders.ts';
import { hasPlaces, sqlOf } from '../sources/read-source.ts';
import type { Skipped, SqlSource } from '../sources/sql-source.ts';
import { dependsOnPlaceholder, UnknownPlaceholders } from '../sources/unknown-placeholders.ts';
import { codeBodyOf } from '../sql/code-body.ts';
import { embeddedStatements } from '../sql/embedded-statements.ts';
import type { Place } from '../sql/places.ts';
import { unknownEffect } from '../sql/psql-commands.ts';
import { type SqlStatement, type SqlText, withSql } from '../sql/read-sql.ts';
import { rolledBack } from '../sql/rolled-back.ts';
import { applyStatement } from '../sql/schema/apply-statement.ts';
import { withTablespace } from '../sql/schema/index-storage.ts';
import { Schema } from '../sql/schema/schema-model.ts';

/** The schema that some SQL creates, and the statements whose effect is unknown. */
interface Collected {
  readonly schema: Schema;
  readonly skipped: readonly Skipped[];
}

/** Applies the statements of all sources to a schema, in order. */
export function collectIndexes(sources: readonly SqlSource[], searchPath?: readonly string[]): Collected {
  const schema = new Schema(searchPath);
  const skipped = sources.flatMap((source) => applySource(schema, source));
  // A function that a statement calls is followed like a DO block.
  const followed = skipped.filter(
    ({ definition }) => definition === undefined || !schema.called.has(definition),
  );
  return { schema, skipped: followed.map(({ definition: _, ...one }) => one) };
}

/** @returns what is skipped; with `definition`, only if no statement calls the function that it defines */
function applySource(
  schema: Schema,
  source: SqlSource,
): (Skipped & { readonly definition?: SqlStatement })[] {
  const { file } = source;
  // Each file runs in a session of its own.
  schema.startSession();
  let tablespace = '';
  const { statements, commands, placeOf } = sqlOf(source);
  const placeholders = new UnknownPlaceholders(source.text);
  const skipped: (Skipped & { definition?: SqlStatement })[] = [];
  const unfollowed = schema.unfollowed.length;
  const skip = ({ line }: { line: number }, what: string, reason: string | null) => {
    if (reason !== null) skipped.push({ file, line: hasPlaces(source) ? line : null, what, reason });
  };
  for (const command of commands) {
    skip(placeOf(command.start), `command ${excerptOf(command.text)}`, unknownEffect(command));
  }
  const undone = rolledBack(statements);
  for (const statement of statements) {
    if (undone.has(statement)) continue;
    tablespace = tablespaceAfter(statement, tablespace);
    if (dependsOnPlaceholder(statement)) {
      placeholders.add(statement);
      continue;
    }
    const problem = problemOf(schema, statement);
    if (problem !== null) skip(statement.error ?? statement, problem.what, problem.reason);
    for (const { line } of indexesInFunction(statement, placeOf)) {
      const place = { file, line: hasPlaces(source) ? line : null, what: 'index created in a function' };
      skipped.push({ ...place, reason: IN_FUNCTION, definition: statement });
    }
    if (problem === null) applyStatement(schema, file, inTablespace(statement, tablespace));
  }
  const condition = conditionIn(source);
  if (condition !== null) skip(placeOf(condition.at), condition.text, IN_CONDITION);
  const { first } = placeholders;
  if (first !== null) skip(first, placeholders.what, placeholders.reason);
  for (const { place, what, reason } of schema.unfollowed.slice(unfollowed)) {
    const line = hasPlaces(source) ? place.line : null;
    skipped.push({ file: place.file, line, what, reason: `${reason}; ${LOOK_AT_THE_SERVER}` });
  }
  return skipped;
}

const IN_CONDITION = 'the statements after it are read as if they applied in any case; check their entries';

const LOOK_AT_THE_SERVER =
  'compare the entries with the database (run --mode plan), or import the live database';

const IN_FUNCTION = 'code creates it when it runs; write an entry with its CREATE INDEX statement yourself';

/** The places in the code of a function or a procedure that create an index, also in a string for EXECUTE. */
function indexesInFunction(statement: SqlStatement, placeOf: SqlText['placeOf']): Place[] {
  const body = statement.node?.CreateFunctionStmt === undefined ? undefined : codeBodyOf(statement);
  if (body === undefined) return [];
  return embeddedStatements(body.code)
    .filter(({ verb }) => verb === 'create index')
    .map(({ at }) => placeOf(body.offsetOf(at)));
}

/** Why a statement cannot be applied to the schema. Null: it can. */
function problemOf(
  schema: Schema,
  { node, error, sql }: SqlStatement,
): { what: string; reason: string } | null {
  if (error !== undefined) {
    return { what: `statement "${excerptOf(sql)}"`, reason: `it cannot be parsed: ${error.message}` };
  }
  const index = node?.IndexStmt;
  if (index === undefined) return null;
  const reason = nameTaken(schema, index);
  return reason === null ? null : { what: `index ${index.idxname}`, reason };
}

function nameTaken(schema: Schema, index: IndexStmt): string | null {
  const name = { schema: schema.nameOf(index.relation).schema, name: index.idxname ?? '' };
  const other = schema.index(name);
  if (index.idxname === undefined || !schema.isTaken(name)) return null;
  // One of the two statements can run only if the other one does not, or something drops the index in between.
  if (other?.doubt != null && index.if_not_exists !== true) return null;
  const earlier = other ?? schema.table(name);
  const where = earlier === undefined ? '' : ` (${earlier.place.file}:${earlier.place.line})`;
  return `its name is taken already${where}, so the statement creates no index`;
}

/** The default_tablespace after a statement: pg_dump sets it before the objects of a tablespace. */
function tablespaceAfter({ node }: SqlStatement, before: string): string {
  const set = node?.VariableSetStmt;
  if (set?.name !== 'default_tablespace') return before;
  const [value] = set.args ?? [];
  return value !== undefined && 'A_Const' in value ? (value.A_Const.sval?.sval ?? '') : '';
}

/** Adds the default_tablespace of the session to the statement of an index. */
function inTablespace(statement: SqlStatement, tablespace: string): SqlStatement {
  const index = statement.node?.IndexStmt;
  if (index === undefined || index.tableSpace !== undefined || tablespace === '') return statement;
  return withSql(statement, withTablespace(statement.sql, tablespace));
}

/** Enough of a statement to find it. */
function excerptOf(sql: string): string {
  return shortened(sql.replaceAll(/\s+/g, ' ').trim(), 60);
}
