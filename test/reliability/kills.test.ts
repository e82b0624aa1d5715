import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuildIndexResult, buildIndexResultSchema } from '../../lambdas/shared/payloads.ts';
import { BUILD_INDEXES } from '../../lib/workflow/state-names.ts';
import { openBuildIndexes, type RunBuildIndexes } from '../support/build-indexes.ts';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { buildsOf, LOG_SETTINGS, type ServerLog, serverLog } from '../support/server-log.ts';
import { MAJORS } from '../support/servers.ts';
import { eventually } from '../support/waits.ts';

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

type Task = 'build-index' | 'check-index';

/** What happens to an execution of build-indexes. */
interface Interference {
  afterFirstAnswer?: () => Promise<unknown>;
  /** The first worker that checks is killed so many milliseconds into its attempt. */
  killCheckAfterMs?: number;
}

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  const kills = major === 18 ? 50 : 12;
  let instance: TestInstance;
  let other: Client;
  let run: RunBuildIndexes;
  let current: Interference & { answers: BuildIndexResult[] };

  beforeAll(async () => {
    instance = await openInstance(major, {
      settings: LOG_SETTINGS,
      indexes: INDEXES,
      tables: `create table people as select n as id, 'Person' || n || '@example.com' as email from generate_series(1, 100000) n;
               create table other (id int);
               create index idx_warm on other (id);`,
    });
    const { functionNames } = instance.workflow.workflow.lambdas;
    run = await openBuildIndexes({ functionNames, invoke: invokeAndInterfere });
    other = await instance.session();
  });

  afterAll(() => instance.close());

  async function isValid(): Promise<boolean> {
    const { rows } = await other.query(
      'select indisvalid as valid from pg_index where indexrelid = to_regclass($1)',
      [INDEX],
    );
    return rows[0]?.valid === true;
  }

  const functionOf = (task: Task) => `pg-deploy-step-local-${task}`;

  const invoke = (task: Task, deploy: string, index: string) =>
    instance.workflow.workflow.lambdas.invoke(functionOf(task), { deploy, index });

  const killWorkers = (task: Task) => instance.workflow.workflow.lambdas.kill(functionOf(task));

  /** Calls a function once and kills its worker so many milliseconds into its attempt, if it has not ended by then. */
  async function invokeAndKill(task: Task, deploy: string, milliseconds: number): Promise<unknown> {
    await invoke(task, 'warm', 'idx_warm');
    const answer = invoke(task, deploy, INDEX);
    answer.catch(() => {});
    await sleep(milliseconds);
    killWorkers(task);
    return await answer;
  }

  async function invokeAndInterfere(name: string, payload: unknown): Promise<unknown> {
    const { answers, killCheckAfterMs, afterFirstAnswer } = current;
    const kills = name === functionOf('check-index') && killCheckAfterMs !== undefined;
    if (kills) delete current.killCheckAfterMs;
    const answer = kills
      ? await invokeAndKill('check-index', (payload as { deploy: string }).deploy, killCheckAfterMs)
      : await instance.workflow.workflow.lambdas.invoke(name, payload);
    const result = buildIndexResultSchema.safeParse(answer).data;
    if (result !== undefined && answers.push(result) === 1) await afterFirstAnswer?.();
    return answer;
  }

  /** Runs build-indexes until the index is built. @returns the answers of Build Index and Check Index, in order */
  async function finish(deploy: string, interference: Interference = {}): Promise<BuildIndexResult[]> {
    current = { ...interference, answers: [] };
    const plan = await run(deploy, { indexes: [INDEX] });
    expect(plan).toMatchObject({ decision: 'done', present: 1, failed: { critical: 0, nonCritical: 0 } });
    return current.answers;
  }

  /** Where in its attempt the worker was killed, as the catalog, the server's log and the ledger show it. */
  async function whereItHit({ deploy, log }: { deploy: string; log: ServerLog }): Promise<string> {
    if (await isValid()) return 'at the finish';
    if (buildsOf(log.lines(), INDEX).length > 0) return 'in the build';
    const { rows } = await other.query('select from deploy_step.index_builds where deploy = $1', [deploy]);
    return rows.length > 0 ? 'at the lock' : 'at the start';
  }

  async function hold(held: Held): Promise<Client> {
    const holder = await instance.session();
    if (held === 'by a lock on the table') await holder.query('begin; lock table people');
    if (held === 'by an old snapshot')
      await holder.query('begin isolation level repeatable read; select from other');
    return holder;
  }

  /** Kills a worker so many milliseconds into its attempt; one that was quicker is followed by one that is killed earlier. */
  async function killOne(held: Held, milliseconds: number) {
    for (let wait = milliseconds; ; wait /= 2) {
      const deploy = randomUUID();
      const log = serverLog(instance.server.logFile);
      const holder = await hold(held);
      const error = await invokeAndKill('build-index', deploy, wait).then(
        () => undefined,
        (reason: Error) => reason.name,
      );
      if (error === 'Runtime.ExitError') return { deploy, log, holder };
      await holder.end();
      await finish(deploy);
      await other.query(`drop index ${INDEX}`);
    }
  }

  test(`of ${kills} workers killed with -9 at any moment none loses a build: it is built once, and nothing is left behind`, async () => {
    // Prepare: how long an attempt takes
    await finish('first');
    await other.query(`drop index ${INDEX}`);
    const started = performance.now();
    await invoke('build-index', 'measured', INDEX);
    const whole = performance.now() - started;
    await finish('measured');
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
        // The worker that checks the build is killed as well, where there is one.
        const answers = await finish(deploy, {
          afterFirstAnswer: () => holder.end(),
          killCheckAfterMs: at,
        });
        await holder.end();
        if (where === 'in the build' && answers[0]?.state === 'building') foundAlive += 1;

        // Assess
        // Without an answer Plan has found the index valid and finished.
        expect(['built', 'present', undefined]).toContain(answers.at(-1)?.status);
        expect(await isValid()).toBe(true);
        expect(buildsOf(log.lines(), INDEX)).toHaveLength(1);
        await instance.expectNoLeftovers();
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
    const old = await instance.session();
    await old.query(
      'begin isolation level repeatable read; select from other; savepoint before; lock table people',
    );
    const waiting = async () =>
      (await other.query("select from pg_locks where relation = 'people'::regclass and not granted")).rows
        .length;
    const followed = async () => {
      const last = (await instance.ledger(INDEX)).at(-1);
      return last?.status === 'building' && last.blockedBy !== null;
    };

    // Act: one is killed while it tries for the lock, one while the build goes on
    const ended = instance.build(INDEX);
    await eventually(waiting).toBe(1);
    killWorkers('build-index');
    await old.query('rollback to savepoint before');
    await eventually(followed).toBe(true);
    killWorkers('check-index');
    await old.query('rollback');
    const { status, report } = await ended;

    // Assess
    expect(
      instance.workflow.events.filter(({ type }) => type === 'StateRetried').map(({ state }) => state),
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
    expect((await instance.ledger(INDEX)).slice(-2)).toMatchObject([
      {
        status: 'retrying',
        sqlstate: null,
        message: expect.stringMatching(/The function ended|session that built it ended/),
      },
      { status: 'built', sqlstate: null, message: null },
    ]);
    expect(instance.workflow.alerts).toEqual([]);
    await instance.expectNoLeftovers();
    await other.query(`drop index ${INDEX}`);
  });
});
