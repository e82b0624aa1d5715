import type { Client } from '../postgres/client.ts';
import { describeMissing } from '../postgres/describe-missing.ts';
import { type IncompleteIndex, readMissingObjects } from '../postgres/missing-objects.ts';
import { describeSearchPath } from '../postgres/search-path.ts';
import type { CompiledIndex } from '../shared/registry.ts';
import { counted } from '../shared/text.ts';

/** What may still create what is missing. */
export type PendingMigrations = 'none' | 'pending' | 'unknown';

interface CheckedObjects {
  /** Why the deploy must be refused. Null: nothing is missing, or a migration may create it. */
  refusal: string | null;
  /** What a migration must create, for the report. Null: nothing. */
  warning: string | null;
}

/**
 * Checks that the tables and columns of indexes exist, and the functions and types of their definitions. With a pending
 * migration that may create them, they are not there yet.
 */
export async function checkObjects(
  client: Client,
  indexes: readonly CompiledIndex[],
  pending: PendingMigrations,
): Promise<CheckedObjects> {
  const incomplete = await readMissingObjects(client, indexes);
  if (incomplete.length === 0) return { refusal: null, warning: null };
  const { rows } = await client.query<{ role: string }>('select current_user as role');
  const names = { path: await describeSearchPath(client), role: rows[0]?.role ?? '' };
  const describeAll = (some: readonly IncompleteIndex[]) => ({
    needs: `what ${counted(some.length, 'index')} of the registry ${some.length === 1 ? 'needs' : 'need'}`,
    missing: describeMissing(some, names),
  });
  if (pending === 'none') {
    const refused = withoutFewSchemas(incomplete, indexes);
    const { needs, missing } = describeAll(refused.length > 0 ? refused : incomplete);
    return refused.length > 0
      ? {
          refusal: `This database does not have ${needs}, and no migration is pending that could create it. ${missing}`,
          warning: null,
        }
      : {
          refusal: null,
          warning: `Some schemas do not have ${needs}: builds fail there, and not in the other schemas. ${missing}`,
        };
  }
  const { needs, missing } = describeAll(incomplete);
  const who =
    pending === 'pending'
      ? 'The pending migrations'
      : 'The migrations, of which only their runner knows what is pending,';
  return {
    refusal: null,
    warning: `Not there yet, ${needs}: ${missing} ${who} must create this, or the builds fail.`,
  };
}

/** Without the indexes of an entry with `schemas` that other schemas have: one schema that is behind must not stop the others. */
function withoutFewSchemas(
  incomplete: readonly IncompleteIndex[],
  indexes: readonly CompiledIndex[],
): IncompleteIndex[] {
  const broken = new Set(incomplete.map(({ index }) => index));
  const working = new Set(indexes.flatMap((index) => (broken.has(index) ? [] : [index.entryId])));
  return incomplete.filter(({ index }) => index.schemas === undefined || !working.has(index.entryId));
}
