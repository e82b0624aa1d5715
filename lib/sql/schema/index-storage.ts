import type { AlterTableCmd } from 'libpg-query';
import { quoteWhereNeeded } from '../quote-where-needed.ts';
import { readSql } from '../read-sql.ts';
import { type SqlToken, tokensOf } from '../tokens.ts';
import { type WrittenStatement, writtenStatement } from './written-statement.ts';

/** A CREATE INDEX statement with TABLESPACE, instead of the one that it has. */
export function withTablespace(sql: string, tablespace: string): string {
  const { before, storage, tail } = clausesOf(sql);
  return [before, storage && `with (${storage})`, `tablespace ${quoteWhereNeeded(tablespace)}`, tail]
    .filter((part) => part !== '')
    .join(' ');
}

/**
 * The statement of an index after ALTER INDEX … SET, RESET or SET TABLESPACE.
 * @param alter the text of the statement that changes it
 */
export function withStorage(
  { sql }: WrittenStatement,
  { subtype, name = '' }: AlterTableCmd,
  alter: string,
): WrittenStatement {
  const changed =
    subtype === 'AT_SetTableSpace' ? withTablespace(sql, name) : withOptions(sql, subtype, alter);
  const isReadable = readSql(changed).statements[0]?.node?.IndexStmt !== undefined;
  return writtenStatement(isReadable ? changed : sql);
}

function withOptions(sql: string, subtype: AlterTableCmd['subtype'], alter: string): string {
  const { before, storage, tablespace, tail } = clausesOf(sql);
  const options = optionsIn(`(${storage})`);
  for (const [option, text] of optionsIn(alter)) {
    if (subtype === 'AT_ResetRelOptions') options.delete(option);
    else options.set(option, text);
  }
  const all = [...options.values()].join(', ');
  return [before, all && `with (${all})`, tablespace, tail].filter((part) => part !== '').join(' ');
}

/** The options in the first parentheses of a text that has no others before, by name. */
function optionsIn(text: string): Map<string, string> {
  const tokens = tokensOf(text);
  const start = tokens.findIndex((token) => token.text === '(');
  const options = new Map<string, string>();
  let first = start + 1;
  for (let at = first; at < tokens.length; at += 1) {
    if (tokens[at]?.text !== ',' && tokens[at]?.text !== ')') continue;
    const [name, last] = [tokens[first], tokens[at - 1]];
    if (name !== undefined && last !== undefined && at > first)
      options.set(name.text.toLowerCase(), text.slice(name.start, last.end));
    if (tokens[at]?.text === ')') break;
    first = at + 1;
  }
  return options;
}

interface Clauses {
  /** The statement up to its keys, INCLUDE and NULLS. */
  readonly before: string;
  /** The options of WITH, without the parentheses. */
  readonly storage: string;
  readonly tablespace: string;
  /** The predicate. */
  readonly tail: string;
}

/** The clauses of a CREATE INDEX statement. WITH and TABLESPACE come before the predicate, outside of all parentheses. */
function clausesOf(sql: string): Clauses {
  const outer: SqlToken[] = [];
  let depth = 0;
  for (const token of tokensOf(sql)) {
    if (token.text === ')') depth -= 1;
    if (depth === 0) outer.push(token);
    if (token.text === '(') depth += 1;
    if (token.keyword === 'where' && depth === 0) break;
  }
  const keys = outer.findIndex((token) => token.text === ')');
  const after = (keyword: string) => outer.findIndex((token, at) => at > keys && token.keyword === keyword);
  const [withAt, spaceAt, whereAt] = [after('with'), after('tablespace'), after('where')];
  const startOf = (at: number) => (at === -1 ? sql.length : (outer[at]?.start ?? sql.length));
  const [open, close, space] = [outer[withAt + 1], outer[withAt + 2], outer[spaceAt + 1]];
  return {
    before: sql.slice(0, Math.min(startOf(withAt), startOf(spaceAt), startOf(whereAt))).trimEnd(),
    storage: withAt === -1 ? '' : sql.slice(open?.end, close?.start).trim(),
    tablespace: spaceAt === -1 ? '' : `tablespace ${space?.text ?? ''}`,
    tail: sql.slice(startOf(whereAt)).trimEnd(),
  };
}
