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

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
    place = createCommandFolder();
    database = await createDatabase({ adminUrl: server.url() });
    await database.query(`
      create table t (id int primary key, a int, b int);
      insert into t select n, n, n from generate_series(1, 5000) n;
      create index t_by_hand on t (b)`);
    const registry = withRegistry(place, [
      { name: 't_a', sql: 'create index concurrently if not exists t_a on t (a)', description: 'by a' },
    ]);
    const { exitCode, stderr } = await place.run(
      ...['run', '--database-url', database.url, ...registry, '--migrations', 'none', '--mode', 'indexes'],
    );
    expect([exitCode, stderr]).toEqual([0, '']);
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

  test('a reset of the statistics begins a new window', async () => {
    const before = (await read()).statistics.since;
    await database.query('select pg_stat_reset()');
    await eventually(async () => (await read()).statistics.since.getTime()).toBeGreaterThan(before.getTime());
  });
});
