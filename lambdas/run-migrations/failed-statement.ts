import pg from 'pg';
import type { ShippedStatement } from '../shared/migration-statements.ts';
import { shortened } from '../shared/text.ts';

/** Of a statement, in characters: who reads it knows it by its beginning. */
const LONGEST_STATEMENT = 100;

/** Where a statement failed, as a file's reader counts, and how it begins. */
export function describeFailed(
  failed: ShippedStatement | null,
  error: unknown,
): { line: number | null; statement: string | null } {
  if (failed === null) return { line: null, statement: null };
  const at = positionIn(failed.sql, error);
  if (!failed.whole) {
    return { line: failed.line + linesBefore(failed.sql, at ?? 0), statement: beginning(failed.sql) };
  }
  // Which of the statements it was, PostgreSQL tells by its position alone, and not always.
  if (at === null) return { line: null, statement: null };
  const line = linesBefore(failed.sql, at);
  return { line: line + 1, statement: beginning(failed.sql.split('\n')[line] ?? '') };
}

/** Where PostgreSQL points at, in UTF-16 units from 0; it counts characters from 1. Null: nowhere. */
function positionIn(sql: string, error: unknown): number | null {
  const position = error instanceof pg.DatabaseError ? Number(error.position) : Number.NaN;
  if (!(position >= 1)) return null;
  return Array.from(sql)
    .slice(0, position - 1)
    .join('').length;
}

function linesBefore(sql: string, at: number): number {
  return sql.slice(0, at).split('\n').length - 1;
}

function beginning(sql: string): string {
  return shortened(withoutSecrets(sql.replace(/\s+/g, ' ').trim()), LONGEST_STATEMENT);
}

/** What it says stands in reports, logs and alerts: passwords of roles, user mappings and addresses are left out. */
function withoutSecrets(sql: string): string {
  return sql
    .replaceAll(/\b(password\s*=?\s*)'(?:[^']|'')*'/gi, "$1'***'")
    .replaceAll(/\b(password\s*=\s*)[^\s']+/gi, '$1***')
    .replaceAll(/(\/\/[^/@\s:']*:)[^/@\s']+@/g, '$1***@');
}
