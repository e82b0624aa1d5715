import type { Client } from './client.ts';
import { quoteIdentifier } from './identifiers.ts';
import { inConfiguredPath, inSavepoint } from './plan-query.ts';

/**
 * Runs `use` with an index that exists only for the planner of this session (extension hypopg).
 * @param schema of the extension
 * @param statement CREATE INDEX without CONCURRENTLY, with the schema of the table
 * @returns null if hypopg does not support such an index
 */
export async function withHypotheticalIndex<T>(
  client: Client,
  { schema, statement }: { readonly schema: string; readonly statement: string },
  use: (indexName: string) => Promise<T>,
): Promise<T | null> {
  const create = quoteIdentifier(schema);
  let created: { indexrelid: string; indexname: string } | undefined;
  try {
    const { rows } = await inSavepoint(
      client,
      async () =>
        await inConfiguredPath(
          client,
          `select indexrelid::text, indexname from ${create}.hypopg_create_index($1)`,
          [statement],
        ),
    );
    created = rows[0] as typeof created;
  } catch {
    return null;
  }
  if (created === undefined) return null;
  try {
    return await use(created.indexname);
  } finally {
    await client.query(`select ${create}.hypopg_drop_index($1::oid)`, [created.indexrelid]).catch(() => {});
  }
}
