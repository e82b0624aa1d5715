import { afterAll, beforeAll, expect, test } from 'vitest';
import { leastPrivilegeScript, readLeastPrivilege } from '../../lambdas/postgres/least-privilege.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';

const TENANTS = 60;

let database: TestDatabase;

beforeAll(async () => {
  database = await createDatabase();
  await database.query(
    `do $$ begin for n in 1..${TENANTS} loop
       execute format('create schema tenant_%s; create table tenant_%s.orders (id int)', n, n);
     end loop; end $$`,
  );
});

afterAll(async () => {
  await database.drop();
});

test('the script for a role of the deploy finds many schemas by their tables, and does not list them', async () => {
  const client = await connect(database.url);
  const tables = Array.from({ length: TENANTS }, (_, at) => ({
    schema: `tenant_${at + 1}`,
    table: 'orders',
  }));
  const names = await readLeastPrivilege(client, { tables, migrates: true });
  if (names === null) throw new Error('The role of the test is a superuser.');
  await client.query(
    `revoke all on schema ${tables.map(({ schema }) => schema).join(', ')} from "${names.role}", "${names.newOwner}"`,
  );
  const script = leastPrivilegeScript(names);
  await client.query(script);
  await client.end();

  expect(script).not.toContain('tenant_1');
  const [granted] = await database.query<{ count: number }>(
    `select count(*)::int as count from pg_namespace
      where nspname like 'tenant%' and has_schema_privilege($1, oid, 'create') and has_schema_privilege($1, oid, 'usage')`,
    [names.role],
  );
  expect(granted?.count).toBe(TENANTS);
});
