import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { examine } from './support.ts';

const TABLES = `
  create table queue (id int, job text not null);
  insert into queue select n, 'job ' || n from generate_series(1, 100000) n;
  create index queue_job on queue (job);
  delete from queue where id % 10 <> 0;
  create table full_table (id int);
  insert into full_table select generate_series(1, 100000);
  alter table full_table add primary key (id)`;

describe.each(MAJORS)('extensions on PostgreSQL %i', (major) => {
  let server: Awaited<ReturnType<typeof startEmbeddedPostgres>>;
  let database: TestDatabase;
  let place: CommandFolder;

  beforeAll(async () => {
    server = await startEmbeddedPostgres({
      major,
      settings: { fsync: 'off', shared_preload_libraries: 'pg_stat_statements', autovacuum: 'off' },
    });
    place = createCommandFolder();
    database = await createDatabase({ adminUrl: server.url() });
    await database.query(TABLES);
  });
  afterAll(async () => {
    place.remove();
    await server.stop('immediate');
  });

  const about = (kind: string, { findings, unknown }: Awaited<ReturnType<typeof examine>>) => ({
    found: findings.filter((one) => one.kind === kind),
    unknown: unknown.filter(({ kinds }) => kinds.includes(kind)).map(({ reason, fix }) => [reason, fix]),
  });

  test('without them, and without statistics of the tables, the output says what to run', async () => {
    const found = await examine(place, database.url);
    expect(about('slow-statement', found)).toEqual({
      found: [],
      unknown: [
        [
          'The extension pg_stat_statements is not installed in this database.',
          'CREATE EXTENSION pg_stat_statements; Its library must be in shared_preload_libraries.',
        ],
      ],
    });
    expect(about('bloated', found)).toEqual({
      found: [],
      unknown: [
        [
          'The extension pgstattuple is not installed in this database. Bloat is estimated without it.',
          'CREATE EXTENSION pgstattuple;',
        ],
        ['The tables of 2 indexes were never analyzed.', 'ANALYZE;'],
      ],
    });
  });

  test('pgstattuple measures what was estimated before', async () => {
    await database.query('vacuum (analyze, index_cleanup on) queue');
    await database.query('vacuum analyze full_table');
    const [estimated, ...others] = about('bloated', await examine(place, database.url)).found;
    expect([estimated?.index, estimated?.confidence, others]).toEqual(['queue_job', 'medium', []]);

    await database.query('create schema extensions');
    await database.query('create extension pgstattuple schema extensions');
    const { found, unknown } = about('bloated', await examine(place, database.url));
    expect(found.map(({ index, confidence, fix }) => ({ index, confidence, fix }))).toEqual([
      { index: 'queue_job', confidence: 'high', fix: 'REINDEX INDEX CONCURRENTLY "public"."queue_job";' },
    ]);
    expect(unknown).toEqual([]);
    const percent = (evidence = '') => Number(/(\d+) % of its/.exec(evidence)?.[1]);
    expect(found[0]?.evidence).toContain('By measurement (pgstatindex)');
    // The estimate and the measurement agree.
    expect(Math.abs(percent(found[0]?.evidence) - percent(estimated?.evidence))).toBeLessThan(10);

    await database.query('reindex index queue_job');
    await database.query('analyze queue');
    expect(about('bloated', await examine(place, database.url)).found).toEqual([]);
  });

  test('pg_stat_statements shows the worst statements, without constants', async () => {
    await database.query('create extension pg_stat_statements');
    for (const seconds of [0.11, 0.15])
      await database.query(`select pg_sleep(${seconds}), 'secret-constant'`);
    await database.query("create role leaky_role password 'secret-password'");
    await database.query("alter role leaky_role password 'secret-password'");
    await database.query('drop role leaky_role');
    const { found, unknown } = about('slow-statement', await examine(place, database.url, '--slow', '50'));
    expect(found).toHaveLength(1);
    const [{ evidence = '' } = {}] = found;
    expect(evidence).toMatch(
      /^2 calls took \d+ ms: \d+ ms each on average, with a standard deviation of \d+ ms, and 1 rows\. Statement -?\d+: select pg_sleep\(\$1\), \$2$/,
    );
    expect(unknown).toEqual([]);
    // Its own queries are never among the worst ones.
    const { found: all } = about('slow-statement', await examine(place, database.url, '--slow', '1'));
    expect(all.filter((one) => /pg_class|pg_index|pg_stat/.test(one.evidence))).toEqual([]);
  });

  test('a role with few rights learns which it needs', async () => {
    await database.query("create role watcher login password 'watcher'");
    const url = new URL(database.url);
    Object.assign(url, { username: 'watcher', password: 'watcher' });
    const found = await examine(place, url.href, '--slow', '50');
    expect(about('slow-statement', found)).toEqual({
      found: [],
      unknown: [
        [
          'This role may not see the statements of other roles in pg_stat_statements.',
          'GRANT pg_read_all_stats TO the role.',
        ],
      ],
    });
    expect(about('bloated', found).unknown).toEqual([
      [
        'pgstatindex failed (SQLSTATE 42501), so bloat is estimated.',
        'GRANT pg_stat_scan_tables TO the role.',
      ],
      [
        'This role may not see the statistics of the tables of 1 index.',
        'GRANT SELECT on the tables, or pg_read_all_data, to the role.',
      ],
    ]);
    await database.query('grant pg_monitor, pg_read_all_data to watcher');
    const seen = await examine(place, url.href, '--slow', '50');
    expect([about('slow-statement', seen).found.length, seen.unknown.map(({ reason }) => reason)]).toEqual([
      1,
      ['No registry was given.'],
    ]);
  });

  test('an extension in a schema of another role is not used, because that role could replace its functions', async () => {
    await database.query(
      "create role stranger; create role monitor login password 'monitor'; grant pg_monitor to monitor",
    );
    await database.query('alter schema extensions owner to stranger');
    const url = new URL(database.url);
    Object.assign(url, { username: 'monitor', password: 'monitor' });
    const asStranger = (await examine(place, url.href)).unknown;
    // Nobody can log in as stranger, so nobody can act as it.
    expect(asStranger.map(({ reason }) => reason).join()).not.toContain('not trusted');
    await database.query('alter role stranger login');
    const { unknown } = await examine(place, url.href);
    expect(unknown.map(({ reason }) => reason)).toContain(
      'The extension pgstattuple, or its schema extensions, belongs to a role that is not trusted, so it is not used. Bloat is estimated without it.',
    );
  });
});

test.each(MAJORS)(
  'on PostgreSQL %i without the library of pg_stat_statements, the output says so',
  async (major) => {
    const database = await serverOf(major).createDatabase();
    const place = createCommandFolder();
    try {
      await database.query('create extension pg_stat_statements');
      const { unknown } = await examine(place, database.url);
      expect(unknown).toContainEqual({
        kinds: ['slow-statement'],
        reason: 'pg_stat_statements is installed, and the server has not loaded its library.',
        fix: 'Add pg_stat_statements to shared_preload_libraries and restart the server.',
      });
    } finally {
      place.remove();
      await database.drop();
    }
  },
);
