import pg from 'pg';
import { untranslatableAt } from '../postgres/untranslatable-character.ts';
import type { ShippedStatement } from '../shared/migration-statements.ts';
import { linesBefore, shortened } from '../shared/text.ts';
import { oneLine } from '../shared/visible-text.ts';

/** Characters of a statement that a message shows: enough to recognise it. */
const MAX_STATEMENT_LENGTH = 100;

/** The line of the file where a statement failed, counted from 1, and the beginning of the statement. */
export function describeStatement(
  failed: ShippedStatement | null,
  error: unknown,
): { line: number | null; statement: string | null } {
  if (failed === null) return { line: null, statement: null };
  const at = positionIn(failed.sql, error);
  if (!failed.whole) {
    return { line: failed.line + linesBefore(failed.sql, at ?? 0), statement: beginning(failed.sql) };
  }
  // Only the error's position shows which statement of the file failed, and not every error has one.
  if (at === null) return { line: null, statement: null };
  const line = linesBefore(failed.sql, at);
  return { line: line + 1, statement: beginning(failed.sql.split('\n')[line] ?? '') };
}

/** The error's position in UTF-16 units from 0; PostgreSQL counts characters from 1. Null: the error has no position. */
function positionIn(sql: string, error: unknown): number | null {
  if (!(error instanceof pg.DatabaseError)) return null;
  const character = untranslatableAt(sql, error);
  if (character !== null) return character;
  const position = Number(error.position);
  if (!(position >= 1)) return null;
  return Array.from(sql)
    .slice(0, position - 1)
    .join('').length;
}

function beginning(sql: string): string {
  return shortened(withoutSecrets(oneLine(sql)), MAX_STATEMENT_LENGTH);
}

/** Reports, logs and alerts show the statement, so passwords of roles, user mappings and addresses are removed. */
function withoutSecrets(sql: string): string {
  return sql
    .replaceAll(/\b(password\s*=?\s*)'(?:[^']|'')*'/gi, "$1'***'")
    .replaceAll(/\b(password\s*=\s*)[^\s']+/gi, '$1***')
    .replaceAll(/(\/\/[^/@\s:']*:)[^/@\s']+@/g, '$1***@');
}
