import { afterAll, beforeAll, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

const ENTRY = {
  name: 'idx_orders_grade',
  sql: 'create index concurrently if not exists idx_orders_grade on orders (grade(status)) where status <> all (array[unwanted()])',
  schemas: ['tenant_*'],
};

/** A tenant's own functions. Two tenants have others, so that the definitions of the catalog differ. */
const createTenant = (schema: string, type: string) => `
  create schema ${schema};
  create table ${schema}.orders (status text);
  create function ${schema}.grade(text) returns ${type} immutable language sql as $$ select length($1)::${type} $$;
  create function ${schema}.unwanted() returns text immutable language sql as $$ select '${schema}'::text $$;`;

onEachMajor('a definition in the schema of a tenant', (major) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
    await database.query(createTenant('tenant_1', 'int') + createTenant('tenant_2', 'bigint'));
    await database.query(
      "create function public.grade(text) returns int immutable language sql as 'select 1'; create table public.orders (status text)",
    );
  });

  afterAll(async () => {
    await database.drop();
  });

  test('means the objects of the tenant first, in the build and in every comparison after it', async () => {
    const builds = await openBuilds(database.url, [ENTRY]);
    await builds.deploy('first');

    const definitions = await database.query<{ schema: string; definition: string }>(
      `select schemaname as schema, indexdef as definition from pg_indexes where indexname = 'idx_orders_grade' order by 1`,
    );
    expect(definitions.map(({ schema }) => schema)).toEqual(['tenant_1', 'tenant_2']);
    for (const { schema, definition } of definitions) expect(definition).toContain(`${schema}.grade(status)`);
    await builds.deploy('again');
    expect(builds.rounds).toEqual([]);
    expect(builds.lastPlan?.present).toBe(2);
    expect(builds.drifted).toEqual([]);
  });

  test('is not built with a function that a role which is not trusted has put into the schema', async () => {
    await database.query(`
      ${createTenant('tenant_3', 'int')}
      create role ${database.name}_intruder login;
      alter table tenant_3.orders owner to ${database.name}_deploy;
      alter function tenant_3.grade(text) owner to ${database.name}_intruder`);
    const builds = await openBuilds(database.url, [ENTRY]);
    await builds.deploy('untrusted');

    expect(builds.lastPlan?.failed).toEqual({ critical: 0, nonCritical: 1 });
    expect(await database.query("select from pg_indexes where schemaname = 'tenant_3'")).toEqual([]);
    await database.query(`drop schema tenant_3 cascade; drop role ${database.name}_intruder`);
  });
});
