import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ExplainedQuery, explainQueries } from '../../lib/explain/explain-queries.ts';
import { readQuery } from '../../lib/explain/query-source.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { TestDatabase } from '../support/database.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

const QUERY = "select * from orders where status = 'open'";

describe.each(MAJORS)('queries of a retired index, PostgreSQL %i', (major) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await serverOf(major).createDatabase();
    await database.query(`
      create table orders (id int primary key, status text);
      insert into orders select n, case when n % 500 = 0 then 'open' else 'done' end from generate_series(1, 20000) n;
      create index orders_status on orders (status);
      analyze orders`);
  });
  afterAll(async () => {
    await database.drop();
  });

  const explain = async (): Promise<ExplainedQuery | undefined> => {
    const registry = await compileRegistry(
      [
        {
          name: 'orders_status',
          sql: 'create index concurrently if not exists orders_status on orders (status)',
          description: 'open orders',
          serves: [QUERY],
          retired: { since: '2026-11-22', reason: 'nobody lists open orders' },
        },
      ],
      'the test',
    );
    const [explained] = await explainQueries(database.url, [readQuery(QUERY, { name: QUERY, file: null })], {
      searchPath: undefined,
      registry,
      minRows: null,
      tenantColumn: null,
      analyzeMs: null,
    });
    return explained;
  };

  test('says that the plan without it was not simulated, where hypopg cannot hide it', async () => {
    const explained = await explain();
    expect(explained?.index).toBe('orders_status');
    expect(explained?.servedBy).toEqual([]);
    expect(explained?.message).toMatch(
      / The registry has retired orders_status, and the plan without it was not simulated: that needs hypopg 1\.4 or newer\.$/,
    );
  });

  test('is not asked for, and says nothing more, when it is dropped', async () => {
    await database.query('drop index orders_status');
    const explained = await explain();
    expect(explained?.verdict).toBe('seq-scan');
    expect(explained?.message).not.toContain('retired');
  });
});
