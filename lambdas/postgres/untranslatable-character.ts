import pg from 'pg';
import { UNTRANSLATABLE_CHARACTER } from './sqlstate.ts';

/**
 * Where in a statement the character is that does not exist in the encoding of the database. PostgreSQL gives its bytes in
 * UTF-8 and no position: "byte sequence 0xe2 0x86 0x92".
 * @returns the offset in UTF-16 units. Null: it is another error, or the place is unknown
 */
export function untranslatableAt(sql: string, error: unknown): number | null {
  if (!(error instanceof pg.DatabaseError) || error.code !== UNTRANSLATABLE_CHARACTER) return null;
  const bytes = /0x[0-9a-f]{2}(?: 0x[0-9a-f]{2})*/.exec(error.message)?.[0].split(' ').map(Number) ?? [];
  const at = bytes.length === 0 ? -1 : sql.indexOf(Buffer.from(bytes).toString('utf8'));
  return at === -1 ? null : at;
}
