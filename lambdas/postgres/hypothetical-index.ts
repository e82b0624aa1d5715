import type { Client } from './client.ts';
import { type Named, quoteIdentifier } from './identifiers.ts';
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

/**
 * Hides an existing index from the planner of this session (extension hypopg, from version 1.4 on).
 * @param schema of the extension. Undefined: there is none
 * @returns whether it is hidden. Null: no index has the name
 */
export async function hideIndex(
  client: Client,
  index: Named,
  schema: string | undefined,
): Promise<boolean | null> {
  const { rows } = await client.query<{ oid: string; possible: boolean }>(
    `select i.indexrelid::text as oid,
            exists (select from pg_proc p
                      join pg_namespace e on e.oid = p.pronamespace
                     where p.proname = 'hypopg_hide_index' and e.nspname = $3) as possible
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname = $1 and c.relname = $2`,
    [index.schema, index.name, schema ?? null],
  );
  const [found] = rows;
  if (found === undefined) return null;
  if (!found.possible || schema === undefined) return false;
  const answer = await client.query<{ hidden: boolean }>(
    `select ${quoteIdentifier(schema)}.hypopg_hide_index($1::oid) as hidden`,
    [found.oid],
  );
  return answer.rows[0]?.hidden === true;
}
