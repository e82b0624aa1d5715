import type { Client } from 'pg';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { MAJORS } from '../support/servers.ts';
import { eventually } from '../support/waits.ts';

const INDEX = 'idx_orders_status';

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let instance: TestInstance;

  beforeAll(async () => {
    instance = await openInstance(major, {
      indexes: [
        {
          name: INDEX,
          sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${INDEX} ON orders (status)`,
          description: 'is built while the server restarts',
        },
      ],
      tables: `create table orders as select n as id, 'open' as status from generate_series(1, 20000) n;
               create table other (id int);`,
    });
  });

  afterAll(() => instance.close());

  beforeEach(async () => {
    await instance.database.query(`drop index if exists ${INDEX}; drop schema if exists deploy_step cascade`);
  });

  /** Opens an old snapshot, which keeps a build in its last phase. */
  async function snapshot(): Promise<Client> {
    const client = await instance.session();
    await client.query('begin isolation level repeatable read; select from other');
    return client;
  }

  async function building(): Promise<string[]> {
    const rows = await instance.database.query<{ phase: string }>(
      'select phase from pg_stat_progress_create_index where datname = current_database()',
    );
    return rows.map((row) => row.phase);
  }

  const checks = () => instance.workflow.log.filter((line) => line.includes('Still building.')).length;

  test.each(['immediate', 'fast'] as const)(
    'a restart of the server (%s) while the worker waits for its build costs an attempt, and the index is built',
    async (mode) => {
      await snapshot();
      const ended = instance.build(INDEX);
      await eventually(building).toEqual(['waiting for old snapshots']);

      await instance.server.restart(mode);
      const { report } = await ended;

      expect(report).toMatchObject({ status: 'succeeded', failure: null, totals: { created: 1, failed: 0 } });
      expect(report.indexes[0]?.attempts).toBeGreaterThan(1);
      expect(report.indexes[0]?.error).toBeNull();
      const attempts = await instance.ledger(INDEX);
      expect(attempts.map((row) => row.status).slice(0, -1)).not.toContain('built');
      expect(attempts.at(-1)).toMatchObject({ status: 'repaired' });
      await instance.expectNoLeftovers();
    },
  );

  test.each(['immediate', 'fast'] as const)(
    'a restart of the server (%s) during a detached build costs an attempt, and the index is built',
    async (mode) => {
      await snapshot();
      const before = checks();
      const ended = instance.build(INDEX);
      await eventually(checks).toBeGreaterThan(before);

      await instance.server.restart(mode);
      const { report } = await ended;

      expect(report).toMatchObject({ status: 'succeeded', failure: null, totals: { created: 1, failed: 0 } });
      expect(report.indexes[0]?.attempts).toBeGreaterThan(1);
      const attempts = await instance.ledger(INDEX);
      expect(attempts[0]).toMatchObject({
        status: 'retrying',
        message: expect.stringContaining('the session that built it ended'),
      });
      expect(attempts.at(-1)).toMatchObject({ status: 'repaired' });
      await instance.expectNoLeftovers();
      expect(instance.workflow.alerts).toEqual([]);
    },
  );
});
