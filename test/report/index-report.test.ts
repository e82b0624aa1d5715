import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { ensureLedger } from '../../lambdas/postgres/ledger.ts';
import { readIndexReports } from '../../lambdas/report/index-report.ts';
import type { IndexReport } from '../../lambdas/shared/report-schema.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

const INDEX = {
  name: 'events_by_kind',
  sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS events_by_kind ON events (kind)',
  description: 'events by kind',
};

/** A row of the ledger. `started` and `finished` are seconds before now; null: no end is recorded. */
interface Row {
  item?: string;
  attempt?: number;
  status: string;
  started: number;
  finished: number | null;
  repairs?: boolean;
}

onEachMajor('the report of an index', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;

  beforeAll(async () => {
    database = await server.createDatabase();
  });
  afterAll(async () => {
    await database.drop();
  });
  beforeEach(async () => {
    await database.query('drop table if exists events; drop schema if exists deploy_step cascade');
  });

  /** Reports on the index with these rows in the ledger. */
  async function reportFor(rows: readonly Row[]): Promise<IndexReport | undefined> {
    const registry = await compileRegistry([INDEX], 'the test');
    const now = Date.now();
    const before = (seconds: number | null) => (seconds === null ? null : new Date(now - seconds * 1000));
    return await withClient(databaseOf({ DATABASE_URL: database.deployUrl }), 'test', async (client) => {
      await ensureLedger(client);
      for (const { item = INDEX.name, attempt = 1, status, started, finished, repairs = false } of rows) {
        await client.query(
          `insert into deploy_step.index_builds
                  (deploy, item, attempt, index_schema, index_name, table_name, status, repairs, started_at, finished_at)
           values ('d', $1, $2, 'public', $3, 'public.events', $4, $5, $6, $7)`,
          [item, attempt, INDEX.name, status, repairs, before(started), before(finished)],
        );
      }
      return (await readIndexReports(client, 'd', registry, [])).indexes[0];
    });
  }

  const createTable = (index = '') => database.query(`create table events (id int, kind text); ${index}`);
  const VALID = 'create index events_by_kind on events (kind)';

  describe('has a duration when the build has ended', () => {
    test('although its function was killed before it recorded the end', async () => {
      await createTable(VALID);
      const report = await reportFor([{ status: 'building', started: 60, finished: null }]);
      expect(report).toMatchObject({ status: 'built', attempts: 1 });
      expect(report?.durationMs).toBeGreaterThanOrEqual(60_000);
    });

    test('although the function that repaired it was killed', async () => {
      await createTable(VALID);
      const report = await reportFor([
        { status: 'retrying', started: 60, finished: 50 },
        { status: 'building', started: 40, finished: null, attempt: 2, repairs: true },
      ]);
      expect(report).toMatchObject({ status: 'repaired', attempts: 2, durationMs: 10_000 });
    });

    test('although one attempt has no end', async () => {
      await createTable(VALID);
      expect(
        await reportFor([
          { status: 'building', started: 60, finished: null },
          { status: 'built', started: 30, finished: 10, attempt: 2 },
        ]),
      ).toMatchObject({ status: 'built', durationMs: 50_000 });
    });

    test('also when it failed while a partition is still built', async () => {
      await createTable();
      expect(
        await reportFor([
          { item: `${INDEX.name} @ events_1`, status: 'failed', started: 60, finished: 40 },
          { item: `${INDEX.name} @ events_2`, status: 'building', started: 50, finished: null },
        ]),
      ).toMatchObject({ status: 'failed', durationMs: 20_000, partitions: { built: 0, failed: 1 } });
    });

    test('and has none before: while it is built, or without an attempt', async () => {
      await createTable();
      expect(await reportFor([{ status: 'building', started: 60, finished: null }])).toMatchObject({
        ...{ status: 'building', attempts: 1, durationMs: null },
      });
      await database.query('drop schema deploy_step cascade');
      expect(await reportFor([])).toMatchObject({ status: 'missing', attempts: 0, durationMs: null });
      await database.query(VALID);
      expect(await reportFor([])).toMatchObject({ status: 'present', attempts: 0, durationMs: null });
    });
  });

  describe('on a partitioned table', () => {
    const PARTITIONS = 12;
    const createPartitions = () =>
      database.query(`
        create table events (id int, kind text) partition by list (id);
        ${Array.from({ length: PARTITIONS }, (_, n) => `create table events_${n} partition of events for values in (${n});`).join('\n')}
        insert into events select n % ${PARTITIONS}, 'kind' || n from generate_series(1, 6000) n;
      `);

    test('counts the attempts of the partition with the most, the partitions, and the size of all', async () => {
      await createPartitions();
      const builds = await openBuilds(database.url, [INDEX]);

      const { events_by_kind: built } = await builds.deploy('first');

      const [sizes] = await database.query<{ bytes: number }>(
        `select sum(pg_relation_size(i.indexrelid))::int as bytes from pg_index i join pg_class c on c.oid = i.indexrelid
          where c.relkind = 'i' and c.relispartition`,
      );
      expect(built).toMatchObject({
        ...{ status: 'built', attempts: 1, sizeBytes: sizes?.bytes, durationMs: expect.any(Number) },
        partitions: { built: PARTITIONS, failed: 0 },
      });
      expect((await builds.deploy('second')).events_by_kind).toMatchObject({
        ...{ status: 'present', attempts: 0, partitions: null, durationMs: null, sizeBytes: sizes?.bytes },
      });
    });

    test('of which one needed three attempts and one failed', async () => {
      await createPartitions();
      const item = (n: number) => `${INDEX.name} @ events_${n}`;
      expect(
        await reportFor([
          ...[1, 2, 3].map((attempt) => ({
            ...{ item: item(0), attempt, started: 100 - attempt, finished: 90 },
            status: attempt === 3 ? 'built' : 'retrying',
          })),
          { item: item(1), status: 'built', started: 80, finished: 79 },
          { item: item(2), status: 'failed', started: 78, finished: 19 },
        ]),
      ).toMatchObject({
        ...{ status: 'failed', attempts: 3, durationMs: 80_000, sizeBytes: null },
        partitions: { built: 2, failed: 1 },
      });
    });
  });
});
