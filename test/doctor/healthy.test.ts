import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';

const DEMO = join(import.meta.dirname, '../../database');

let database: TestDatabase;
let place: CommandFolder;

beforeAll(async () => {
  place = createCommandFolder();
  database = await createDatabase();
  const { exitCode, stderr } = await place.run('run', '--database-url', database.url, '--seed', 'demo');
  expect([exitCode, stderr]).toEqual([0, '']);
  await database.query('vacuum analyze');
});

afterAll(async () => {
  place.remove();
  await database.drop();
});

async function findings(...args: string[]): Promise<{ exitCode: number | null; found: string[] }> {
  const { exitCode, stdout } = await place.run('doctor', '--database-url', database.url, '--json', ...args);
  const { findings: all } = JSON.parse(stdout) as {
    findings: { kind: string; table: string; index: string | null; columns: string[] }[];
  };
  return {
    exitCode,
    found: all.map(({ kind, table, index, columns }) => `${kind} ${index ?? `${table} ${columns}`}`),
  };
}

describe('the demo after a deploy', () => {
  test('has no findings: what lint accepts in the registry and in migrations is accepted', async () => {
    const files = ['--indexes', join(DEMO, 'indexes.ts'), '--migrations', join(DEMO, 'migrations')];
    expect(await findings(...files)).toEqual({ exitCode: 0, found: [] });
  });

  test('without its files it has what they accept', async () => {
    const { exitCode, found } = await findings();
    expect(exitCode).toBe(1);
    expect(found).toEqual([
      'foreign-key-without-index deals assigned_to',
      'foreign-key-without-index deals company_id',
      'foreign-key-without-index call_log tenant_id',
      'foreign-key-without-index tickets customer_id',
      'foreign-key-without-index projects tenant_id',
      'tenant-table-without-index call_log tenant_id',
      'tenant-table-without-index projects tenant_id',
      'redundant idx_tickets_tenant_id',
      'redundant idx_customers_tenant_id',
      'unused idx_deals_tenant_created',
      'unused idx_deals_tenant_status',
      'unused idx_tickets_tenant_status',
      'unused idx_customers_tenant_status',
      'unused idx_leads_backfill_pending',
    ]);
  });
});
