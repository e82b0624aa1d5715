import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { ensureLedger } from '../../lambdas/postgres/ledger.ts';
import { type Fault, openBuilds, type TestBuilds } from '../support/builds.ts';
import { connect, type TestDatabase } from '../support/database.ts';
import { readLedger } from '../support/ledger.ts';
import { expectNoLeftovers } from '../support/leftovers.ts';
import { onEachMajor, serverOf } from '../support/servers.ts';

const entry = (
  name: string,
  table: string,
  more: { unique?: boolean; critical?: boolean; column?: string } = {},
) => ({
  name,
  sql: `create ${more.unique ? 'unique ' : ''}index concurrently if not exists ${name} on ${table} (${more.column ?? 'n'})`,
  critical: more.critical ?? false,
});

/** `broken` has duplicate keys. Its lane has indexes before and after it, and there are other lanes. */
const entries = (critical: boolean, table = 'things') => [
  entry('first', table),
  entry('broken', table, { unique: true, critical }),
  entry('last', table),
  entry('other', 'others'),
  entry('parts', 'parted'),
];
const OTHERS = { first: 'built', last: 'built', other: 'built', parts: 'built' };

const failure = (name: string, message = 'of the test') => Object.assign(new Error(message), { name });
const throwing =
  (name: string, message?: string): Fault =>
  async ({ index }, run) => {
    if (index.startsWith('broken')) throw failure(name, message);
    return await run();
  };
const answering =
  (answer: unknown): Fault =>
  async ({ index }, run) =>
    index.startsWith('broken') ? answer : await run();

onEachMajor('the failure of one index', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;

  beforeEach(async () => {
    database = await server.createDatabase();
    await database.query(
      `create table things (n int); insert into things values (1), (1);
       create table others (n int);
       create table parted (n int) partition by range (n);
       create table parted_low partition of parted for values from (0) to (10);
       create table parted_high partition of parted for values from (10) to (20);
       insert into parted values (1), (1), (11)`,
    );
  });
  afterEach(async () => await database.drop());

  const query = async (sql: string) => await database.query(sql);

  const statuses = (reports: Record<string, { status: string }>) =>
    Object.fromEntries(Object.entries(reports).map(([name, { status }]) => [name, status]));

  /** The index failed, the others are built, and the ledger has its failure. */
  async function expectOneFailure(builds: TestBuilds, deploy: string, critical: boolean) {
    const reports = await builds.deploy(deploy);
    expect(statuses(reports)).toEqual({ ...OTHERS, broken: 'failed' });
    expect(builds.lastPlan).toMatchObject({
      decision: 'done',
      present: 4,
      failed: { critical: critical ? 1 : 0, nonCritical: critical ? 0 : 1 },
      unrecordedFailures: [],
    });
    return reports.broken;
  }

  describe.each([true, false])('critical: %s', (critical) => {
    test.each([
      ['BuildFailed', 'permission denied'],
      ['States.Timeout', 'States.Timeout'],
      ['Sandbox.Timedout', 'RequestId: 1 Error: Task timed out after 600.00 seconds'],
      ['States.DataLimitExceeded', 'too large'],
      ['$ZodError', 'invalid input'],
      ['Error', 'x'.repeat(32_000)],
    ])('Settle Index fails with %s', async (name, message) => {
      const builds = await openBuilds(
        database.url,
        entries(critical),
        {},
        { 'settle-index': throwing(name, message) },
      );

      const broken = await expectOneFailure(builds, 'first', critical);

      // The message of the last attempt, and that Settle Index failed too.
      expect(broken).toMatchObject({ attempts: 1, error: { sqlstate: '23505' } });
      expect(broken?.error?.message).toContain('could not create unique index');
      expect(broken?.error?.message).toContain(`Settle Index failed, too, with the error ${name}.`);
      expect(await readLedger(database, 'broken')).toMatchObject([{ attempt: 1, status: 'failed' }]);
    });
  });

  test('a failure of Settle Index that Lambda retries is retried, and the index is settled', async () => {
    const calls: string[] = [];
    const builds = await openBuilds(
      database.url,
      entries(false),
      {},
      {
        'settle-index': async ({ index }, run) => {
          if (calls.push(index) < 3) throw failure('Runtime.ExitError');
          return await run();
        },
      },
    );

    const broken = await expectOneFailure(builds, 'first', false);

    expect(calls).toEqual(['broken', 'broken', 'broken']);
    expect(broken?.error?.message).not.toContain('Settle Index');
    await expectNoLeftovers(query);
  });

  test.each<[what: string, fault: Fault, error: string]>([
    ['Build Index fails with States.Timeout', throwing('States.Timeout'), 'States.Timeout'],
    ['Build Index fails with Runtime.ExitError', throwing('Runtime.ExitError'), 'Runtime.ExitError'],
    ['Build Index cannot read its payload', throwing('$ZodError'), '$ZodError'],
    [
      'the result of Build Index is too large',
      answering({ state: 'done', more: 'x'.repeat(262_144) }),
      'States.DataLimitExceeded',
    ],
    ['Build Index returns nothing', answering(undefined), 'UnreadableResult'],
    ['Build Index returns text', answering('done'), 'UnreadableResult'],
    [
      'Build Index returns an unknown state',
      answering({ state: 'finished', waitSeconds: 1 }),
      'UnreadableResult',
    ],
    [
      'Build Index returns a state that is no text',
      answering({ state: 7, waitSeconds: 1 }),
      'UnreadableResult',
    ],
    ['Build Index returns no pause', answering({ state: 'building' }), 'UnreadableResult'],
    [
      'Build Index returns text as pause',
      answering({ state: 'building', waitSeconds: 'soon' }),
      'UnreadableResult',
    ],
    [
      'Build Index returns a negative pause',
      answering({ state: 'building', waitSeconds: -1 }),
      'UnreadableResult',
    ],
    [
      'Build Index returns an endless pause',
      answering({ state: 'building', waitSeconds: 1e9 }),
      'UnreadableResult',
    ],
  ])('%s', async (_what, fault, error) => {
    const builds = await openBuilds(database.url, entries(true), {}, { 'build-index': fault });

    const broken = await expectOneFailure(builds, 'first', true);

    expect(broken?.error?.message).toContain(error);
    await expectNoLeftovers(query);
  });

  test.each<[what: string, fault: Fault, error: string]>([
    ['Check Index fails with an error that is not retried', throwing('BuildFailed'), 'of the test'],
    [
      'the result of Check Index is too large',
      answering({ state: 'done', more: 'x'.repeat(262_144) }),
      'States.DataLimitExceeded',
    ],
    ['Check Index returns nothing', answering(undefined), 'UnreadableResult'],
    [
      'Check Index returns a pause that cannot be used',
      answering({ state: 'building', waitSeconds: null }),
      'UnreadableResult',
    ],
  ])('%s', async (_what, fault, error) => {
    const builds = await openBuilds(
      database.url,
      entries(true),
      {},
      {
        'build-index': answering({ state: 'building', status: 'building', waitSeconds: 1 }),
        'check-index': fault,
      },
    );

    const broken = await expectOneFailure(builds, 'first', true);

    expect(broken?.error?.message).toContain(error);
  });

  test('every step of one index fails, on a plain table and on a partition, and the next deploy builds it', async () => {
    const faults = Object.fromEntries(
      (['build-index', 'check-index', 'settle-index'] as const).map((name) => [
        name,
        throwing('BuildFailed'),
      ]),
    );
    const registry = [
      ...entries(true),
      entry('broken_parts', 'parted', { critical: true, column: 'n desc' }),
    ];
    const builds = await openBuilds(database.url, registry, {}, faults);

    const reports = await builds.deploy('first');

    expect(statuses(reports)).toEqual({ ...OTHERS, broken: 'failed', broken_parts: 'failed' });
    expect(builds.lastPlan?.failed).toEqual({ critical: 2, nonCritical: 0 });
    expect(reports.broken?.error?.message).toContain('BuildFailed');
    await database.query('truncate things');
    const repaired = await openBuilds(database.url, registry);
    expect(statuses(await repaired.deploy('second'))).toMatchObject({
      broken: 'built',
      broken_parts: 'built',
    });
    await expectNoLeftovers(query);
  });

  test('a result of Settle Index that records nothing does not start endless rounds', async () => {
    const builds = await openBuilds(database.url, entries(true), {}, { 'settle-index': answering({}) });

    const broken = await expectOneFailure(builds, 'first', true);

    expect(broken?.error?.message).toContain('Settle Index did not record the failure.');
    expect(builds.rounds).toHaveLength(2);
  });

  test('one partition fails in every step: the other partition keeps its index', async () => {
    const builds = await openBuilds(
      database.url,
      entries(false, 'others'),
      {},
      {
        'build-index': async ({ index }, run) => {
          if (index === 'parts @ parted_low') throw failure('BuildFailed');
          return await run();
        },
        'settle-index': async () => {
          throw failure('BuildFailed');
        },
      },
    );

    const reports = await builds.deploy('first');

    expect(reports.parts).toMatchObject({
      status: 'failed',
      error: { message: expect.stringContaining('parts @ parted_low') },
    });
    expect(
      await database.query("select from pg_index where indrelid = 'parted_high'::regclass and indisvalid"),
    ).toHaveLength(1);
  });

  test('all 60 builds of a round fail, and the cause of each is as long as Step Functions allows', async () => {
    const cause = 'x'.repeat(32_000);
    const many = Array.from({ length: 60 }, (_, at) =>
      entry(`broken_${at}`, at % 2 ? 'things' : 'others', { critical: true, column: `(n + ${at})` }),
    );
    const builds = await openBuilds(
      database.url,
      [...many, entry('other', 'others')],
      {},
      { 'build-index': throwing('BuildFailed', cause), 'settle-index': throwing('BuildFailed', cause) },
    );

    const { other, ...broken } = await builds.deploy('first');

    expect(other?.status).toBe('built');
    expect(new Set(Object.values(broken).map(({ status }) => status))).toEqual(new Set(['failed']));
    expect(builds.lastPlan?.failed).toEqual({ critical: 60, nonCritical: 0 });
  });

  describe('the ledger accepts no row for one index', () => {
    beforeEach(async () => {
      await withClient(databaseOf({ DATABASE_URL: database.deployUrl }), 'test', ensureLedger);
    });

    test('a session that locks the whole ledger is named, and the builds continue when it has ended', async () => {
      const session = await connect(database.url, 'vacuum full');
      await session.query('begin; lock table deploy_step.index_builds');
      const builds = await openBuilds(database.url, [entry('other', 'others')]);

      await expect(builds.build('first', 'other')).rejects.toThrow(
        /^Could not acquire the lock on table deploy_step\.index_builds within 10 s\. Blocked by pid \d+ \(vacuum full, /,
      );

      await session.query('rollback');
      await session.end();
      expect((await builds.deploy('first')).other).toMatchObject({ status: 'built', attempts: 1 });
    });

    test.each([
      ['no row', "new.item = 'broken'"],
      ['no failure', "new.item = 'broken' and new.status = 'failed'"],
      ['no result of an attempt', "new.item = 'broken' and new.status in ('retrying', 'failed')"],
    ])('%s', async (_what, condition) => {
      await database.query(
        `create function refuse() returns trigger language plpgsql as $$ begin raise 'refused by the test'; end $$;
         create trigger refuse before insert or update on deploy_step.index_builds
           for each row when (${condition}) execute function refuse()`,
      );
      const builds = await openBuilds(database.url, entries(true));

      await builds.deploy('first');

      expect(builds.lastPlan).toMatchObject({
        decision: 'done',
        present: 4,
        failed: { critical: 1, nonCritical: 0 },
        unrecordedFailures: [
          {
            index: 'broken',
            message: expect.stringMatching(
              /The ledger did not accept this failure: An error raised by code in the database\. Its text is hidden/,
            ),
          },
        ],
      });
      expect(builds.log.join('\n')).toMatch(/raised by code in the database.* \(SQLSTATE P0001\)/);
      expect(builds.rounds).toHaveLength(2);
      await expectNoLeftovers(query);
      // The next deploy tries again.
      await database.query('drop trigger refuse on deploy_step.index_builds; truncate things');
      expect((await builds.deploy('second')).broken).toMatchObject({ status: 'built', attempts: 1 });
      await expectNoLeftovers(query);
    });
  });
});
