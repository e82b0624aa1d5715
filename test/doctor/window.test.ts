import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { diagnose } from '../../lib/doctor/diagnose.ts';
import type { LiveDatabase } from '../../lib/doctor/live-database.ts';
import { DEFAULT_LIMITS } from '../../lib/doctor/options.ts';
import { readDatabase } from '../../lib/doctor/read-database.ts';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { MAJORS } from '../support/servers.ts';
import { eventually, waitForRows } from '../support/waits.ts';
import { withRegistry } from './support.ts';

const DAY_MS = 24 * 60 * 60 * 1000;

/*
 * What is read is real. Only the clock is moved: statistics and indexes are as old as the days say.
 */
describe.each(MAJORS)('the window of unused indexes on PostgreSQL %i', (major) => {
  let server: Awaited<ReturnType<typeof startEmbeddedPostgres>>;
  let database: TestDatabase;
  let place: CommandFolder;
  let registry: string[];

  /** A deploy that has something to do. */
  const deploy = async () => {
    await database.query('drop index if exists t_new');
    const { exitCode, stderr } = await place.run(
      ...['run', '--database-url', database.url, ...registry, '--migrations', 'none', '--mode', 'indexes'],
    );
    expect([exitCode, stderr]).toEqual([0, '']);
  };

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
    place = createCommandFolder();
    database = await createDatabase({ adminUrl: server.url() });
    await database.query(`
      create table t (id int primary key, a int, b int, c int);
      insert into t select n, n, n, n from generate_series(1, 5000) n;
      create index t_before on t (b)`);
    registry = withRegistry(place, [
      { name: 't_a', sql: 'create index concurrently if not exists t_a on t (a)', description: 'by a' },
      { name: 't_new', sql: 'create index concurrently if not exists t_new on t (c, a)', description: 'new' },
    ]);
    await deploy();
    await database.query('create index t_by_hand on t (c, b)');
  });
  afterAll(async () => {
    place.remove();
    await server.stop('immediate');
  });

  const read = async (): Promise<LiveDatabase> =>
    await readDatabase({
      database: { url: database.url, name: 'The database' },
      ...{ replicas: [], registry: null, limits: DEFAULT_LIMITS },
    });

  const unusedAfter = (live: LiveDatabase, days: number) => {
    const later = ({ now, ...rest }: LiveDatabase['statistics']) => ({
      ...rest,
      now: new Date(now.getTime() + days * DAY_MS),
    });
    const { findings } = diagnose(
      {
        ...live,
        statistics: later(live.statistics),
        replicas: live.replicas.map((one) => ({ ...one, statistics: later(one.statistics) })),
      },
      { limits: DEFAULT_LIMITS },
    );
    return Object.fromEntries(
      findings
        .filter(({ kind }) => kind === 'unused')
        .map((one) => [one.index, `${one.confidence}: ${one.evidence}`]),
    );
  };

  test('the ledger shows how old an index is; nothing shows it for one that was created by hand', async () => {
    const live = await read();
    const found = unusedAfter(live, 31);
    expect(found.t_a).toMatch(/^high: No query has scanned it/);
    expect(found.t_by_hand).toMatch(/^unknown: .*Not proven: nothing shows that it existed on [\d-]+\.$/);
    expect(unusedAfter(live, 29).t_a).toMatch(/^unknown: .*Not proven: the statistics of this server began/);
  });

  test('a deploy shows that an index existed that someone has created by hand before', async () => {
    const live = await read();
    expect(unusedAfter(live, 31).t_before).toMatch(/^high: No query has scanned it/);
    const old = { ...live.statistics, since: new Date(live.statistics.since.getTime() - 100 * DAY_MS) };
    expect(unusedAfter({ ...live, statistics: old }, 29).t_before).toMatch(
      /^unknown: .*Not proven: deploys have found it only since [\d-]+\.$/,
    );
    // Another index with its name is not older than itself.
    await database.query('drop index t_before; create index t_before on t (b)');
    expect(unusedAfter(await read(), 31).t_before).toMatch(/^unknown: .*nothing shows that it existed/);
  });

  test('a new index is too young, however old the statistics are', async () => {
    const live = await read();
    const old = { ...live.statistics, since: new Date(live.statistics.since.getTime() - 100 * DAY_MS) };
    expect(unusedAfter({ ...live, statistics: old }, 1).t_a).toMatch(
      /^unknown: .*Not proven: it was built on [\d-]+\.$/,
    );
  });

  test('the statistics of every replica have to be old enough, and every standby has to be asked', async () => {
    const live = await read();
    const scans = new Map(
      live.indexes.map((one) => [JSON.stringify([one.schema, one.name]), { scans: 0, lastScan: null }]),
    );
    const replica = { name: 'replica 1', statistics: live.statistics, scans };
    expect(unusedAfter({ ...live, replicas: [replica] }, 31).t_a).toMatch(/^high/);
    const young = {
      ...replica,
      statistics: { ...live.statistics, since: new Date(live.statistics.now.getTime() + 20 * DAY_MS) },
    };
    expect(unusedAfter({ ...live, replicas: [replica, young] }, 31).t_a).toMatch(
      /^unknown: .*Not proven: the statistics of replica 1 began/,
    );
    const statistics = { ...live.statistics, standbys: 2 };
    expect(unusedAfter({ ...live, statistics, replicas: [replica] }, 31).t_a).toMatch(
      /^unknown: .*1 standby of this server may use it: give each with --replica/,
    );
  });

  test('commit timestamps show how old an index is', async () => {
    await database.query('alter system set track_commit_timestamp = on');
    await server.restart();
    await database.query('create index t_later on t (b, a)');
    const found = unusedAfter(await read(), 31);
    expect(found.t_later).toMatch(/^high/);
  });

  test('an index that was scanned is used; from version 16 on, only until its last scan is too old', async () => {
    await database.query('set enable_seqscan = off; select from t where a = 7');
    await waitForRows(
      database,
      "select from pg_stat_user_indexes where indexrelname = 't_a' and idx_scan > 0",
    );
    const live = await read();
    expect(unusedAfter(live, 29).t_a).toBeUndefined();
    const after = unusedAfter(live, 31).t_a;
    if (major >= 16) expect(after).toMatch(/^high: The last scan was on [\d-]+, and every write/);
    else expect(after).toBeUndefined();
  });

  test('deploys record since when an index was not scanned again', async () => {
    await deploy();
    const live = await read();
    // Also without the time of the last scan, as before version 16.
    const withoutTime = {
      ...live,
      indexes: live.indexes.map((index) => ({ ...index, lastScan: null })),
    };
    expect(unusedAfter(withoutTime, 29).t_a).toBeUndefined();
    const found = /^high: Its 1 scan are from before [\d-]+, as deploys have recorded, and every write/;
    expect(unusedAfter(withoutTime, 31).t_a).toMatch(found);

    // A later deploy finds the same number, so the time stays.
    const rows = async () =>
      await database.query(
        "select scans, unchanged_since from deploy_step.index_scans where index_name = 't_a'",
      );
    const before = await rows();
    await deploy();
    expect(await rows()).toEqual(before);

    // A replica may have scanned it meanwhile: its own statistics decide.
    const scans = (count: number) =>
      new Map(
        live.indexes.map((one) => [JSON.stringify([one.schema, one.name]), { scans: count, lastScan: null }]),
      );
    const replica = { name: 'replica 1', statistics: live.statistics, scans: scans(0) };
    expect(unusedAfter({ ...withoutTime, replicas: [replica] }, 31).t_a).toMatch(
      /^high: Its 1 scan are from before/,
    );
    expect(
      unusedAfter({ ...withoutTime, replicas: [replica, { ...replica, scans: scans(3) }] }, 31).t_a,
    ).toBeUndefined();

    await database.query('set enable_seqscan = off; select from t where a = 8');
    await waitForRows(
      database,
      "select from pg_stat_user_indexes where indexrelname = 't_a' and idx_scan > 1",
    );
    const again = await read();
    const used = { ...again, indexes: again.indexes.map((index) => ({ ...index, lastScan: null })) };
    expect(unusedAfter(used, 31).t_a).toBeUndefined();
  });

  test.each([
    ['of the database', 'select pg_stat_reset()'],
    ['of one index', "select pg_stat_reset_single_table_counters('t_a'::regclass)"],
  ])(
    'a reset of the statistics %s begins a new window, and what deploys have recorded before is not used',
    async (_, reset) => {
      await deploy();
      const before = (await read()).statistics.since;
      await database.query(reset);
      await eventually(async () => (await read()).statistics.since.getTime()).toBeGreaterThan(
        before.getTime(),
      );
      const live = await read();
      // As if it had been scanned as often again.
      const same = live.indexes.map((index) => ({
        ...index,
        ...{
          lastScan: null,
          scans: live.history.scans.get(JSON.stringify([index.schema, index.name]))?.scans ?? 0,
        },
      }));
      expect(same.find(({ name }) => name === 't_a')?.scans).toBeGreaterThan(0);
      expect(unusedAfter({ ...live, indexes: same }, 31).t_a).toBeUndefined();
      await database.query('set enable_seqscan = off; select from t where a = 8');
      await waitForRows(
        database,
        "select from pg_stat_user_indexes where indexrelname = 't_a' and idx_scan > 0",
      );
    },
  );

  test('an index that is dropped is dropped from the record too', async () => {
    await database.query('drop index t_before');
    await deploy();
    const rows = await database.query('select index_name from deploy_step.index_scans order by 1');
    expect(rows.map(({ index_name }) => index_name)).not.toContain('t_before');
    expect(rows.map(({ index_name }) => index_name)).toContain('t_a');
  });
});
