import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BUILD_INDEXES } from '../../lib/workflow/state-names.ts';
import { Drive } from '../support/drive.ts';
import { eventually } from '../support/eventually.ts';
import { MAJORS, openRig, type Rig } from '../support/rig.ts';
import { buildsOf, LOG_SETTINGS, type ServerLog, serverLog } from '../support/server-log.ts';

/** Builds in some hundred milliseconds, and is analysed afterwards because it indexes an expression. */
const INDEX = 'idx_people_email';
const INDEXES = [
  {
    name: INDEX,
    sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${INDEX} ON people (lower(email))`,
    description: 'is built again and again',
  },
  {
    name: 'idx_warm',
    sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_warm ON other (id)',
    description: 'is there, so that building it only warms a sandbox up',
  },
];

/** What holds the attempt up, so that kills hit each part of it. */
type Held = 'by nothing' | 'by a lock on the table' | 'by an old snapshot';
interface Kill {
  /** When, in per cent of the time that an attempt takes undisturbed. */
  at: number;
  held: Held;
}

const kill: fc.Arbitrary<Kill> = fc.record({
  at: fc.noBias(fc.integer({ min: 0, max: 100 })),
  held: fc.constantFrom<Held>('by nothing', 'by nothing', 'by a lock on the table', 'by an old snapshot'),
});

/** One that is sure to hit the start, one the lock, one a build that is alive when the next worker comes. */
const EXAMPLES: [Kill][] = [
  [{ at: 0, held: 'by nothing' }],
  [{ at: 90, held: 'by a lock on the table' }],
  [{ at: 100, held: 'by an old snapshot' }],
];

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  const kills = major === 18 ? 50 : 12;
  let rig: Rig;
  let drive: Drive;
  let other: Client;

  beforeAll(async () => {
    rig = await openRig(major, {
      settings: LOG_SETTINGS,
      indexes: INDEXES,
      tables: `create table people as select n as id, 'Person' || n || '@example.com' as email from generate_series(1, 100000) n;
               create table other (id int);
               create index idx_warm on other (id);`,
    });
    drive = new Drive(rig.workflow.workflow.lambdas);
    other = await rig.session();
  });

  afterAll(() => rig.close());

  async function isValid(): Promise<boolean> {
    const { rows } = await other.query(
      'select indisvalid as valid from pg_index where indexrelid = to_regclass($1)',
      [INDEX],
    );
    return rows[0]?.valid === true;
  }

  /** Kills one worker so many milliseconds into its attempt. @returns undefined: it had ended before */
  async function killAt(deploy: string, milliseconds: number): Promise<string | undefined> {
    await drive.invoke('build-index', 'warm', 'idx_warm');
    const answer = drive.invoke('build-index', deploy, INDEX).then(
      () => undefined,
      (error: Error) => error.name,
    );
    await sleep(milliseconds);
    drive.kill('build-index');
    return await answer;
  }

  async function killCheck(deploy: string, milliseconds: number): Promise<void> {
    await drive.invoke('check-index', 'warm', 'idx_warm');
    const answer = drive.invoke('check-index', deploy, INDEX).catch(() => undefined);
    await sleep(milliseconds);
    drive.kill('check-index');
    await answer;
  }

  /** Where in its attempt the worker was killed, as the catalog, the server's log and the ledger show it. */
  async function whereItHit({ deploy, log }: { deploy: string; log: ServerLog }): Promise<string> {
    if (await isValid()) return 'at the finish';
    if (buildsOf(log.lines(), INDEX).length > 0) return 'in the build';
    const { rows } = await other.query('select from deploy_step.index_builds where deploy = $1', [deploy]);
    return rows.length > 0 ? 'at the lock' : 'at the start';
  }

  async function hold(held: Held): Promise<Client> {
    const holder = await rig.session();
    if (held === 'by a lock on the table') await holder.query('begin; lock table people');
    if (held === 'by an old snapshot')
      await holder.query('begin isolation level repeatable read; select from other');
    return holder;
  }

  /** Kills a worker so many milliseconds into its attempt; one that was quicker is followed by one that is killed earlier. */
  async function killOne(held: Held, milliseconds: number) {
    for (let wait = milliseconds; ; wait /= 2) {
      const deploy = randomUUID();
      const log = serverLog(rig.server.logFile);
      const holder = await hold(held);
      if ((await killAt(deploy, wait)) === 'Runtime.ExitError') return { deploy, log, holder };
      await holder.end();
      await drive.toTheEnd(deploy, INDEX, { state: 'building', status: 'building', waitSeconds: 1 });
      await other.query(`drop index ${INDEX}`);
    }
  }

  test(`of ${kills} workers killed with -9 at any moment none loses a build: it is built once, and nothing is left behind`, async () => {
    // Prepare: how long an attempt takes
    await drive.build('first', INDEX);
    await other.query(`drop index ${INDEX}`);
    const started = performance.now();
    await drive.build('measured', INDEX);
    const whole = performance.now() - started;
    await other.query(`drop index ${INDEX}`);
    const hits: Record<string, number> = {};
    let foundAlive = 0;

    await fc.assert(
      fc.asyncProperty(kill, async ({ at, held }) => {
        // Act
        const { deploy, log, holder } = await killOne(
          held,
          ((whole * at) / 100) * (held === 'by nothing' ? 1 : 1.5),
        );
        const where = await whereItHit({ deploy, log });
        hits[where] = (hits[where] ?? 0) + 1;
        if (held === 'by a lock on the table') await holder.query('rollback');
        const answer = await drive.build(deploy, INDEX);
        if (where === 'in the build' && answer.state === 'building') foundAlive += 1;
        await holder.end();
        // The one that follows and finishes is killed as well, where there is one.
        if (answer.state === 'building') await killCheck(deploy, at);
        const { status } = await drive.toTheEnd(deploy, INDEX, answer);

        // Assess
        expect(['built', 'present']).toContain(status);
        expect(await isValid()).toBe(true);
        expect(buildsOf(log.lines(), INDEX)).toHaveLength(1);
        await rig.expectClean();
        await other.query(`drop index ${INDEX}`);
      }),
      { numRuns: kills, endOnFailure: true, examples: EXAMPLES },
    );
    console.info(
      `PostgreSQL ${major}: ${kills} kills (${JSON.stringify(hits)}), ${foundAlive} found the build alive`,
    );
    expect(foundAlive).toBeGreaterThan(0);
    // Fifty builds, each with two or three fresh processes: twice the usual limit, which only ends what hangs.
  }, 240_000);

  test('the workflow carries on when its workers are killed under it: a report without an error, no alert', async () => {
    // Prepare: a lock on the table, and an old snapshot that outlives it
    const old = await rig.session();
    await old.query(
      'begin isolation level repeatable read; select from other; savepoint before; lock table people',
    );
    const waiting = async () =>
      (await other.query("select from pg_locks where relation = 'people'::regclass and not granted")).rows
        .length;
    const followed = async () => {
      const last = (await rig.ledger(INDEX)).at(-1);
      return last?.status === 'building' && last.blockedBy !== null;
    };

    // Act: one is killed while it tries for the lock, one while the build goes on
    const ended = rig.build(INDEX);
    await eventually(waiting).toBe(1);
    drive.kill('build-index');
    await old.query('rollback to savepoint before');
    await eventually(followed).toBe(true);
    drive.kill('check-index');
    await old.query('rollback');
    const { status, report } = await ended;

    // Assess
    expect(
      rig.workflow.events.filter(({ type }) => type === 'StateRetried').map(({ state }) => state),
    ).toContain(BUILD_INDEXES.buildIndex);
    expect(status).toBe('SUCCEEDED');
    expect(report).toMatchObject({ status: 'succeeded', failure: null, warnings: [] });
    expect(report.indexes).toEqual([
      expect.objectContaining({
        status: 'built',
        attempts: 2,
        error: null,
        blockedBy: expect.stringContaining('second session'),
      }),
    ]);
    expect((await rig.ledger(INDEX)).slice(-2)).toMatchObject([
      {
        status: 'retrying',
        sqlstate: null,
        message: expect.stringMatching(/The worker ended|session that built it ended/),
      },
      { status: 'built', sqlstate: null, message: null },
    ]);
    expect(rig.workflow.alerts).toEqual([]);
    await rig.expectClean();
    await other.query(`drop index ${INDEX}`);
  });
});
