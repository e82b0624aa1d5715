import { qualified, quotedTable, quoteIdentifier } from '../../lambdas/postgres/identifiers.ts';
import type { LiveIndex } from '../../lambdas/postgres/live-indexes.ts';
import type { LiveDatabase } from './live-database.ts';
import type { RegisteredState } from './registry-state.ts';

/** The statement that drops an index, and what else has to be done so that it stays away. */
export function dropStatement(index: LiveIndex): string {
  if (index.constraint !== null)
    return `ALTER TABLE ${quotedTable(index)} DROP CONSTRAINT ${quoteIdentifier(index.constraint)};`;
  // PostgreSQL does not drop the index of a partitioned table concurrently.
  return `DROP INDEX ${index.partitioned ? '' : 'CONCURRENTLY '}${qualified(index)};`;
}

/** The statement that creates an index again. Null: it could not be read. */
export function restoreStatement({ texts }: LiveDatabase, index: LiveIndex): string | null {
  const statement = texts.get(index.oid)?.statement;
  if (statement === undefined) return null;
  const concurrently = index.partitioned
    ? statement
    : statement.replace(/^(CREATE (?:UNIQUE )?INDEX) /, '$1 CONCURRENTLY ');
  return `${concurrently};`;
}

/** A sentence for the evidence if the registry would bring the index back. Empty: it would not. */
export function registryNote(registered: RegisteredState, index: LiveIndex): string {
  const entry = registered.entryOf(index);
  if (entry?.index.retired !== undefined)
    return ' The registry has retired it: a deploy drops it after the grace period.';
  return entry === undefined
    ? ''
    : ` First mark the entry ${entry.index.entryId} of the registry as retired, because the next deploy would build the index again.`;
}
