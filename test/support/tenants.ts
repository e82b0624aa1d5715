import type { BuildEntries } from './builds.ts';
import type { TestDatabase } from './database.ts';

/*
 * A database with a schema per tenant. Each has the table orders, and two entries of the registry have an index in each of them.
 */

export const TENANT_ENTRIES: BuildEntries = [
  {
    name: 'idx_orders_status',
    sql: 'create index concurrently if not exists idx_orders_status on orders (status)',
    schemas: ['tenant_*'],
  },
  {
    name: 'idx_orders_id',
    sql: 'create unique index concurrently if not exists idx_orders_id on orders (id)',
    schemas: ['tenant_*'],
  },
];

/** `tenant_1` to `tenant_COUNT`. */
export const tenantSchemas = (count: number): string[] =>
  Array.from({ length: count }, (_, at) => `tenant_${at + 1}`);

/** @param schema as SQL writes it */
export const createTenant = (schema: string): string =>
  `create schema ${schema}; create table ${schema}.orders (id int, status text); insert into ${schema}.orders values (1, 'a'), (2, 'b');`;

/** Drops the tenants and the ledger, and creates tenants. */
export async function recreateTenants(database: TestDatabase, schemas: readonly string[]): Promise<void> {
  await database.query(
    `do $$ declare one name; begin
       for one in select nspname from pg_namespace where nspname like 'tenant%' or nspname = 'deploy_step' loop
         execute format('drop schema %I cascade', one);
       end loop; end $$`,
  );
  await database.query(schemas.map(createTenant).join(' '));
}

/** `SCHEMA.INDEX`, in the order in which the schemas were created. */
export async function validIndexes(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ index: string }>(
    `select format('%s.%s', n.nspname, c.relname) as index
       from pg_index i join pg_class c on c.oid = i.indexrelid join pg_namespace n on n.oid = c.relnamespace
      where i.indisvalid and c.relname like 'idx_orders%' order by n.oid, 1`,
  );
  return rows.map(({ index }) => index);
}

interface TenantRow {
  item: string;
  attempt: number;
  status: string;
  sqlstate: string | null;
}

/** Rows of the ledger. @param item a pattern of LIKE */
export async function tenantLedger(database: TestDatabase, item = '%'): Promise<TenantRow[]> {
  return await database.query<TenantRow>(
    'select item, attempt, status, sqlstate from deploy_step.index_builds where item like $1 order by item, attempt',
    [item],
  );
}
