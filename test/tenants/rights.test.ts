import { afterAll, beforeAll, expect, test } from 'vitest';
import { leastPrivilegeScript, readLeastPrivilege } from '../../lambdas/postgres/least-privilege.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

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

onEachMajor('a role without privileges in the schemas of tenants', (major) => {
  let tenants: TestDatabase;
  let url: string;
  const roles = () => ({ deploy: `${tenants.name}_weak`, ownerOf: (n: number) => `${tenants.name}_${n}` });

  beforeAll(async () => {
    tenants = await serverOf(major).createDatabase();
    const { deploy } = roles();
    await tenants.query('drop event trigger test_owner');
    await tenants.query(
      `create role ${deploy} login password 'weak'; grant create on database ${tenants.name} to ${deploy};
       create schema "tenant_template"; create table tenant_template.orders (id int);
       create schema other; create table other.orders (id int);
       do $$ begin for n in 1..${TENANTS} loop
         execute format('create role ${tenants.name}_%s; create schema tenant_%s; create table tenant_%s.orders (id int);
           alter table tenant_%s.orders owner to ${tenants.name}_%s', n, n, n, n, n);
       end loop; end $$`,
    );
    const weak = new URL(tenants.url);
    Object.assign(weak, { username: deploy, password: 'weak' });
    url = weak.href;
  });

  afterAll(async () => {
    await tenants.drop();
    const { deploy } = roles();
    const admin = await connect(serverOf(major).adminUrl);
    await admin.query(
      `drop role ${deploy}; do $$ begin for n in 1..${TENANTS} loop execute format('drop role ${tenants.name}_%s', n); end loop; end $$`,
    );
    await admin.end();
  });

  test('is refused with statements that grant all of them, in those schemas only', async () => {
    const { deploy } = roles();
    const { preflight } = await openPreflight(url, [
      {
        name: 'idx',
        sql: 'create index concurrently if not exists idx on orders (id)',
        schemas: ['tenant_*', '!tenant_template'],
      },
    ]);
    const { refusal } = await preflight();
    const [, statements = ''] = refusal?.split('run: ') ?? [];

    expect(refusal).toContain(`The role ${deploy} does not have the privileges that the deploy needs.`);
    expect(Buffer.byteLength(statements)).toBeLessThan(2_000);
    await tenants.query(statements);
    expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });
    const granted = await tenants.query<{ schema: string }>(
      "select nspname as schema from pg_namespace where has_schema_privilege($1, oid, 'create') and nspname !~ '^pg_'",
      [deploy],
    );
    expect(granted).toHaveLength(TENANTS);
    expect(granted.map(({ schema }) => schema)).not.toContain('tenant_template');
  });
});
