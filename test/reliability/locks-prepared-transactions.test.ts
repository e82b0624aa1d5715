import { afterAll, beforeAll, expect, test } from 'vitest';
import type { IndexReport } from '../../lambdas/shared/report-schema.ts';
import { watchBuilds } from '../../lib/local/watch-builds.ts';
import { openBuilds } from '../support/builds.ts';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { waitForLedger } from '../support/ledger.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForBuildPhase, waitForLogLine, waitForRows } from '../support/waits.ts';

const NAMES = [
  'written',
  'exclusive',
  'restarted',
  'queued',
  'chained',
  'kept',
  'dropped',
  'shared',
  'other',
];
const INDEXES = NAMES.filter((name) => name !== 'other').map((name) => ({
  name: `${name}_n`,
  sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name}_n ON ${name} (n)`,
  description: name,
}));

/** A quote, a backslash, a line break, a character that changes the direction of text, and more than ASCII. */
const ODD_GID = 'it\'s\\ 1\n2 \u202e"é" ; drop';

/** PREPARE TRANSACTION, like COMMIT PREPARED, accepts no parameters. */
const literal = (text: string) => `'${text.replaceAll("'", "''")}'`;

onEachMajor('prepared transactions that block a build', (major) => {
  let instance: TestInstance;

  beforeAll(async () => {
    instance = await openInstance(major, {
      tables: NAMES.map(
        (name) =>
          `create table ${name} (n int, m int); insert into ${name} select n, n from generate_series(1, 5000) n;`,
      ).join('\n'),
      settings: { max_prepared_transactions: '20' },
      indexes: INDEXES,
      builds: { attempts: 2, terminateBlockers: { idleInTransactionSeconds: 1 } },
    });
  });
  afterAll(async () => await instance?.close());

  /** Runs statements in a transaction and prepares it. Its session ends. */
  async function prepare(gid: string, statements: string): Promise<void> {
    const session = await instance.session('the coordinator');
    await session.query(`begin; ${statements}; prepare transaction ${literal(gid)}`);
    await session.end();
  }

  /** Runs the statement that a message prints, in the database that it names. */
  async function followAdvice(
    message: string | null | undefined,
    verb: 'COMMIT' | 'ROLLBACK',
  ): Promise<void> {
    const statement = new RegExp(`${verb} PREPARED (E?'(?:[^'\\\\]|''|\\\\.)*')`).exec(message ?? '')?.[0];
    expect(statement, message ?? 'no message').toBeDefined();
    await instance.database.query(statement ?? '');
  }

  const named = (gid: string) =>
    new RegExp(
      `prepared transaction '${gid}' \\(owner postgres, database ${instance.database.name}, prepared \\d+ s ago; ` +
        `as its owner or a superuser, run COMMIT PREPARED '${gid}' or ROLLBACK PREPARED '${gid}' in that database\\)`,
    );

  const only = (reports: { report: { indexes: IndexReport[] } }) => reports.report.indexes[0];

  test('ledger, log and report name a prepared transaction that wrote to the table, and the printed statement ends it', async () => {
    await prepare(ODD_GID, 'insert into written values (0)');

    const deploy = instance.build('written_n');
    await waitForBuildPhase(instance.database, 'written', 'waiting for writers before build');
    const [row] = await waitForLedger(instance.database, 'written_n', (rows) => rows[0]?.blockedBy != null);

    expect(row?.blockedBy).toContain(
      String.raw`prepared transaction E'it''s\\ 1\u000A2 \u202E"é" ; drop' (owner postgres, `,
    );
    // The live display reads the running builds itself.
    const watch = watchBuilds(instance.database.url);
    expect(await watch.read()).toMatchObject([
      {
        index: 'written_n',
        waitsFor: expect.stringMatching(/^prepared transaction E'it''s.* ROLLBACK PREPARED E'it''s/),
      },
    ]);
    await watch.close();
    await followAdvice(row?.blockedBy, 'COMMIT');
    const { report } = await deploy;
    expect(report.indexes).toMatchObject([{ status: 'built', attempts: 1 }]);
    expect(report.indexes[0]?.blockedBy).toBe(row?.blockedBy);
    // No session was terminated: there is none.
    expect(report.warnings).toEqual([]);
    expect(
      instance.workflow.log.filter(
        (line) => line.includes('Still building') && line.includes('COMMIT PREPARED'),
      ),
    ).not.toEqual([]);
    expect(await instance.database.query('select n from written where n = 0')).toHaveLength(1);
    await instance.expectNoLeftovers();
  });

  test('the error of an attempt that does not acquire the table lock names it', async () => {
    await prepare('migration 7', 'alter table exclusive add extra int');

    const report = only(await instance.build('exclusive_n'));

    expect(report).toMatchObject({ status: 'failed', attempts: 2, error: { sqlstate: '55P03' } });
    expect(report?.error?.message).toMatch(named('migration 7'));
    expect(report?.blockedBy).toMatch(named('migration 7'));
    await followAdvice(report?.error?.message, 'ROLLBACK');
    expect(only(await instance.build('exclusive_n'))).toMatchObject({ status: 'built', attempts: 1 });
    await instance.expectNoLeftovers();
  });

  test('both are named after a waiting request that waits for the prepared transaction', async () => {
    await prepare('reader', 'select count(*) from queued');
    const ddl = await instance.session('the migration');
    const waits = ddl.query('begin; lock table queued in access exclusive mode');

    const deploy = instance.build('queued_n');
    const [row] = await waitForLedger(instance.database, 'queued_n', (rows) => rows[0]?.blockedBy != null);
    await followAdvice(row?.blockedBy, 'ROLLBACK');
    await waits;
    await ddl.query('rollback');

    expect(only(await deploy)).toMatchObject({ status: 'built' });
    expect(row?.blockedBy).toMatch(named('reader'));
    expect(row?.blockedBy).toContain('the migration, active');
    await instance.expectNoLeftovers();
  });

  test('a build that waits for a session which waits for a prepared transaction names both', async () => {
    await prepare('row lock', 'update other set m = 0 where n = 1');
    const writer = await instance.session('the worker');
    const update = writer.query('begin; insert into chained values (0); update other set m = 1 where n = 1');
    await waitForRows(
      instance.database,
      "select from pg_locks join pg_stat_activity a using (pid) where not granted and a.datname = current_database() and a.application_name = 'the worker'",
    );

    const deploy = instance.build('chained_n');
    const [row] = await waitForLedger(
      instance.database,
      'chained_n',
      (rows) => rows[0]?.blockedBy?.includes('the worker') === true,
    );
    await followAdvice(row?.blockedBy, 'ROLLBACK');
    await update;
    await writer.query('commit');

    expect(only(await deploy)).toMatchObject({ status: 'built', attempts: 1 });
    expect(row?.blockedBy).toMatch(named('row lock'));
    await instance.expectNoLeftovers();
  });

  test('a prepared transaction whose locks do not conflict is not named beside a session that blocks', async () => {
    await prepare('innocent', 'select count(*) from shared');
    const ddl = await instance.session('a colleague');
    await ddl.query('begin; lock table shared in share mode');
    const builds = await openBuilds(instance.database.url, INDEXES, { lockTimeoutSeconds: 3 });

    const attempt = await builds.build('shared', 'shared_n').catch((error: Error) => error.message);
    await ddl.query('rollback');

    expect(attempt).toContain('a colleague');
    expect(attempt).not.toContain('innocent');
    await instance.database.query("rollback prepared 'innocent'");
    await instance.expectNoLeftovers();
  });

  test('a drop that waits for a prepared transaction names it', async () => {
    // Prepare: an invalid index, and a prepared transaction that has read the table.
    await instance.database.query('insert into dropped values (1)');
    await instance.database
      .query('create unique index concurrently dropped_n on dropped (n)')
      .catch(() => 'duplicate keys');
    await prepare('reader of a leftover', 'select count(*) from dropped');

    // Act
    const deploy = instance.build('dropped_n');
    const [row] = await waitForLedger(
      instance.database,
      'dropped_n',
      (rows) => rows[0]?.status === 'retrying',
    );
    await followAdvice(row?.message, 'ROLLBACK');

    // Assess
    expect(row?.message).toContain('DROP INDEX');
    expect(row?.message).toMatch(named('reader of a leftover'));
    expect(row?.blockedBy).toMatch(named('reader of a leftover'));
    expect(only(await deploy)).toMatchObject({ status: 'repaired' });
    await instance.expectNoLeftovers();
  });

  test('the log names it when it blocks the drop after the last attempt', async () => {
    await instance.database.query('insert into kept values (1)');
    const builds = await openBuilds(
      instance.database.url,
      [
        {
          name: 'kept_n',
          sql: 'CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS kept_n ON kept (n)',
        },
      ],
      {},
    );
    await prepare('reader of duplicates', 'select count(*) from kept');

    expect((await builds.deploy('kept')).kept_n).toMatchObject({
      status: 'failed',
      error: { sqlstate: '23505' },
    });

    const line = builds.log.find((one) => one.includes('The invalid index is not removed yet.'));
    expect(JSON.parse(line ?? '[]')[1]?.blockedBy).toMatch(named('reader of duplicates'));
    await followAdvice(line, 'COMMIT');
    await waitForRows(
      instance.database,
      "select where not exists (select from pg_class where relname like 'pg_deploy_step_dead%')",
    );
    await instance.expectNoLeftovers();
  });

  test('a prepared transaction of before a restart of the server is named too', async () => {
    await prepare('before the restart', 'insert into restarted values (0)');
    await instance.server.restart();

    const deploy = instance.build('restarted_n');
    await waitForLogLine(instance.workflow, "ROLLBACK PREPARED 'before the restart'");
    const [row] = await waitForLedger(instance.database, 'restarted_n', (rows) => rows[0]?.blockedBy != null);
    expect(row?.blockedBy).toMatch(named('before the restart'));
    await followAdvice(row?.blockedBy, 'ROLLBACK');

    expect(only(await deploy)).toMatchObject({ status: 'built', attempts: 1 });
    expect(await instance.database.query('select n from restarted where n = 0')).toEqual([]);
    await instance.expectNoLeftovers();
  });
});
