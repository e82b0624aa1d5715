import type { CompiledIndex } from '../shared/registry.ts';
import { readRelationKind } from './catalog.ts';
import type { Client } from './client.ts';

/** For logs and the ledger. */
export const TABLE_GONE = 'The schema or the table was dropped.';

/**
 * Whether the table of an index was dropped, and that is no failure: a schema of an entry with `schemas` belongs to a tenant,
 * who can leave at any moment.
 */
export async function isTableGone(client: Client, index: CompiledIndex): Promise<boolean> {
  if (index.schemas === undefined) return false;
  return (await readRelationKind(client, { schema: index.schema, name: index.table })) === undefined;
}
