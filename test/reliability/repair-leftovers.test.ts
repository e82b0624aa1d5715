import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { deadName } from '../../lambdas/postgres/index-names.ts';
import type { IndexReport } from '../../lambdas/shared/report-schema.ts';
import { openBuilds, type TestBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { waitForBuildPhase, waitForRows } from '../support/waits.ts';

const NAMES = ['unready', 'ready', 'killed', 'twins', 'dead', 'replaced'];
const indexOf = (name: string) => ({
  name: `${name}_n`,
  sql: `CREATE ${name === 'twins' ? 'UNIQUE ' : ''}INDEX CONCURRENTLY IF NOT EXISTS ${name}_n ON ${name} (n)`,
});
const dead = (name: string) => deadName({ schema: 'public', name: `${name}_n` });

describe.each(MAJORS)('leftovers of earlier builds, PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;
  let builds: TestBuilds;
  let reports: Record<string, IndexReport>;

  /** Starts the build by hand and ends it while it waits for a transaction, which leaves an invalid index. */
  async function endInPhase(name: string, transaction: string, phase: string, end: string): Promise<void> {
    const other = await connect(database.url);
    const builder = await connect(database.url, 'by hand');
    await other.query(`begin isolation level repeatable read; ${transaction}`);
    const build = builder.query(indexOf(name).sql).catch(() => 'ended');
    await waitForBuildPhase(database, name, phase);
    await database.query(
      `select ${end}(pid) from pg_stat_activity where datname = current_database() and application_name = 'by hand'`,
    );
    expect(await build).toBe('ended');
    await other.query('rollback');
    await Promise.all([other.end(), builder.end().catch(() => {})]);
    await waitForRows(
      database,
      "select where not exists (select from pg_stat_activity where datname = current_database() and application_name = 'by hand')",
    );
  }

  const invalid = async () =>
    await database.query(
      `select indexrelid::regclass::text as name, indisready as ready from pg_index where not indisvalid order by 1`,
    );

  beforeAll(async () => {
    database = await server.createDatabase();
    await database.query(
      `create table elsewhere (n int);
       ${NAMES.map((name) => `create table ${name} (n int); insert into ${name} select generate_series(1, 1000);`).join('\n')}
       insert into twins values (1);
       create index replaced_n on replaced (n);
       create index ${dead('replaced')} on replaced (n)`,
    );
    await endInPhase(
      'unready',
      'insert into unready values (0)',
      'waiting for writers before build',
      'pg_cancel_backend',
    );
    await endInPhase(
      'ready',
      'select count(*) from elsewhere',
      'waiting for old snapshots',
      'pg_cancel_backend',
    );
    await endInPhase(
      'killed',
      'select count(*) from elsewhere',
      'waiting for old snapshots',
      'pg_terminate_backend',
    );
    await database.query(indexOf('twins').sql).catch(() => 'duplicate keys');
    await endInPhase(
      'dead',
      'insert into dead values (0)',
      'waiting for writers before build',
      'pg_cancel_backend',
    );
    // As after the kill of a worker between the rename and the drop.
    await database.query(`alter index dead_n rename to ${dead('dead')}`);
    expect(await invalid()).toEqual([
      { name: 'killed_n', ready: true },
      { name: dead('dead'), ready: false },
      { name: 'ready_n', ready: true },
      { name: 'twins_n', ready: expect.any(Boolean) },
      { name: 'unready_n', ready: false },
    ]);
    await database.query('delete from twins where n = 1');
    builds = await openBuilds(database.url, NAMES.map(indexOf));
    reports = await builds.deploy('first');
  });
  afterAll(async () => {
    await database?.drop();
  });

  test.each([
    ['whose build was cancelled before the index was ready', 'unready_n', 'repaired'],
    ['that was ready for writes', 'ready_n', 'repaired'],
    ['whose build session was terminated', 'killed_n', 'repaired'],
    ['with duplicate keys that were deleted since', 'twins_n', 'repaired'],
    ['that was renamed but not dropped', 'dead_n', 'built'],
  ])('an invalid index %s is replaced', (_leftover, name, status) => {
    expect(reports[name]).toMatchObject({ status, attempts: 1, error: null });
  });

  test('an index that was already replaced is dropped, and its replacement stays', async () => {
    expect(reports.replaced_n).toMatchObject({ status: 'present', attempts: 0 });
    expect(await database.query("select from pg_class where relname = 'replaced_n'")).toHaveLength(1);
  });

  test('there are no leftovers, and a second deploy finds every index present', async () => {
    expect(await invalid()).toEqual([]);
    await expectNoLeftovers(async (sql) => await database.query(sql));
    const again = await builds.deploy('second');
    expect(Object.values(again).map((report) => [report.status, report.attempts])).toEqual(
      NAMES.map(() => ['present', 0]),
    );
  });
});
