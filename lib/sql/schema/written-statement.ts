import type { IndexStmt } from 'libpg-query';
import { readSql } from '../read-sql.ts';

/** A CREATE INDEX statement: its text, without the semicolon, and its parse tree. */
export interface WrittenStatement {
  readonly sql: string;
  readonly statement: IndexStmt;
}

/**
 * A statement that is parsed when its tree is needed: a tree has twenty times the size of its text, and a schema can have
 * thousands of indexes, most of which nobody asks about.
 * @param sql the text of a statement that the parser accepts
 */
export function writtenStatement(sql: string): WrittenStatement {
  return new ParsedWhenNeeded(sql);
}

class ParsedWhenNeeded implements WrittenStatement {
  readonly sql: string;

  constructor(sql: string) {
    this.sql = sql;
  }

  get statement(): IndexStmt {
    if (last.written !== this)
      last = { written: this, statement: readSql(this.sql).statements[0]?.node?.IndexStmt ?? {} };
    return last.statement;
  }
}

/** Readers ask for one statement after the other, and several times for each. */
let last: { readonly written: WrittenStatement | null; readonly statement: IndexStmt } = {
  written: null,
  statement: {},
};
