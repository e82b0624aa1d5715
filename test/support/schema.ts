import type { TestDatabase } from './database.ts';

/** Every schema, table and index of a database, to tell that nothing was changed. */
export async function schemaOf(database: TestDatabase): Promise<unknown> {
  return await database.query(
    `select n.nspname, c.relname, c.relkind, c.oid from pg_namespace n left join pg_class c on c.relnamespace = n.oid
      where n.nspname not like 'pg\\_%' and n.nspname <> 'information_schema' order by 1, 2`,
  );
}
