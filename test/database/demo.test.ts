import { access, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runner } from 'node-pg-migrate';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import indexes from '../../database/indexes.ts';
import { type ExplainedQuery, explainQueries } from '../../lib/explain/explain-queries.ts';
import { queriesFrom } from '../../lib/explain/query-files.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';

const FOLDER = join(import.meta.dirname, '../../database');
const CRITICAL = ['users_email_key', 'idx_deal_monthly_summary_key'];

let database: TestDatabase;
let client: Client;

async function migrate(count: number): Promise<string[]> {
  const applied = await runner({
    databaseUrl: database.url,
    dir: join(FOLDER, 'migrations'),
    direction: 'up',
    migrationsTable: 'pgmigrations',
    count,
    log: () => undefined,
  });
  return applied.map((migration) => migration.name);
}

beforeAll(async () => {
  database = await createDatabase();
  client = await connect(database.url);
  const files = await readdir(join(FOLDER, 'migrations'));
  await migrate(files.length - 2);
  // As seedDemo() does: one query with all statements, and so one transaction.
  await client.query(await readFile(join(FOLDER, 'seed.sql'), 'utf8'));
});
afterAll(async () => {
  await client.end();
  await database.drop();
});

test('the seed inserts at least 400,000 deals, 30 % of them in one tenant', async () => {
  const { rows } = await client.query(
    `select tenant_id, count(*)::int as deals, sum(count(*)) over ()::int as total
     from deals group by tenant_id order by deals desc limit 2`,
  );
  const [largest, next] = rows;
  expect(largest.total).toBeGreaterThanOrEqual(400_000);
  expect(largest.tenant_id).toBe('1');
  expect(largest.deals / largest.total).toBeCloseTo(0.3, 1);
  expect(next.deals).toBeLessThan(largest.deals / 4);
});

test('the seed restores every foreign key, and no deal refers to another tenant', async () => {
  const keys = await client.query(
    `select count(*)::int as foreign_keys, bool_and(convalidated) as valid from pg_constraint where contype = 'f'`,
  );
  expect(keys.rows).toEqual([{ foreign_keys: 19, valid: true }]);
  const mixed = await client.query(
    `select count(*)::int as mixed
     from deals
     join companies on companies.id = deals.company_id
     join users on users.id = deals.assigned_to
     where companies.tenant_id <> deals.tenant_id or users.tenant_id <> deals.tenant_id`,
  );
  expect(mixed.rows).toEqual([{ mixed: 0 }]);
});

test('before the release, the database has only the indexes of its constraints', async () => {
  const { rows } = await client.query(
    `select indexrelid::regclass::text as name
     from pg_index
     where indrelid in (select relid from pg_stat_user_tables)
       and not exists (select from pg_constraint where conindid = indexrelid)`,
  );
  expect(rows).toEqual([]);
});

async function explained(): Promise<ExplainedQuery[]> {
  return await explainQueries(database.url, queriesFrom(join(FOLDER, 'queries')), {
    registry: await loadRegistry(join(FOLDER, 'indexes.ts')),
    ...{ searchPath: undefined, minRows: null, tenantColumn: 'tenant_id', analyzeMs: null },
  });
}

test('before the release, the query of the outage reads a whole table, and the proposal is the entry of the registry', async () => {
  await client.query('analyze');
  const outage = (await explained()).find(({ name }) => name === 'dashboard_deals');
  expect(outage).toMatchObject({
    verdict: 'seq-scan',
    proposal: {
      registered: true,
      entry: { name: 'idx_deals_tenant_created', serves: ['dashboard_deals'] },
      columns: [
        { column: 'tenant_id', direction: 'asc' },
        { column: 'created_at', direction: 'desc' },
      ],
    },
  });
});

test('after the release, every index of the registry is valid, and the queries use their indexes', async () => {
  expect(await migrate(Number.POSITIVE_INFINITY)).toEqual([
    '0006_leads_last_call',
    '0007_deal_monthly_summary',
  ]);
  for (const { sql } of indexes) await client.query(sql);
  const { rows } = await client.query(
    'select indexrelid::regclass::text as name from pg_index where indisvalid and indexrelid = any ($1::regclass[])',
    [indexes.map((index) => index.name)],
  );
  expect(rows.map((row) => row.name).sort()).toEqual(indexes.map((index) => index.name).sort());

  await client.query('refresh materialized view concurrently deal_monthly_summary');
  await client.query('analyze');
  const wrong = (await explained()).filter(
    ({ verdict, proposal }) => verdict !== 'index' || proposal !== null,
  );
  expect(wrong.map(({ name, verdict, message }) => ({ name, verdict, message }))).toEqual([]);
  const unused: string[] = [];
  for (const { name, serves = [] } of indexes) {
    for (const query of serves)
      if (!(await planOf(query)).includes(`"${name}"`)) unused.push(`${name} ${query}`);
  }
  expect(unused).toEqual([]);
});

async function planOf(query: string): Promise<string> {
  const sql = await readFile(join(FOLDER, 'queries', `${query}.sql`), 'utf8');
  const samples = [...sql.matchAll(/^-- \$\d+: (.*)$/gm)].map((sample) =>
    client.escapeLiteral(sample[1] ?? ''),
  );
  await client.query(`prepare demo_query as ${sql}`);
  const values = samples.length === 0 ? '' : `(${samples.join(', ')})`;
  const { rows } = await client.query(`explain (format json) execute demo_query${values}`);
  await client.query('deallocate demo_query');
  return JSON.stringify(rows[0]);
}

test('every query file is named in the registry, and every named file exists', async () => {
  const served = new Set(indexes.flatMap((index) => index.serves ?? []));
  await Promise.all([...served].map((query) => access(join(FOLDER, 'queries', `${query}.sql`))));
  expect((await readdir(join(FOLDER, 'queries'))).sort()).toEqual(
    [...served].map((name) => `${name}.sql`).sort(),
  );
});

test('the registry compiles, and the two indexes that the application needs are critical', async () => {
  const registry = await loadRegistry(join(FOLDER, 'indexes.ts'));
  expect(registry).toHaveLength(20);
  expect(registry.filter((index) => index.critical).map((index) => index.name)).toEqual(CRITICAL);
});
