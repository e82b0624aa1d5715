import { placesIn } from '../sql/places.ts';
import { readSql, type SqlText } from '../sql/read-sql.ts';
import type { SqlSource } from './sql-source.ts';

/** Reads the SQL of a source. Its places are those in the file. */
export function sqlOf({ text, origin }: SqlSource): SqlText {
  if (origin === undefined) return readSql(text);
  const placeOf = placesIn(origin.text);
  return readSql(text, (offset) => placeOf(origin.offsetOf(offset)));
}

/** Whether the places of a source are those in its file. */
export function hasPlaces({ hasLines, origin }: SqlSource): boolean {
  return hasLines || origin !== undefined;
}
