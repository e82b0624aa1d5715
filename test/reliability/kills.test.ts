import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type BuildIndexResult, buildIndexResultSchema } from '../../lambdas/shared/build-payloads.ts';
import { BUILD_INDEXES } from '../../lib/workflow/state-names.ts';
import {
  type BuildFunction,
  functionNameOf,
  openBuildIndexes,
  type RunBuildIndexes,
} from '../support/build-indexes.ts';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { buildsOf, LOG_SETTINGS, type ServerLog, serverLog } from '../support/server-log.ts';
import { MAJORS } from '../support/servers.ts';
import { eventually } from '../support/waits.ts';

/** Its build takes some hundred milliseconds. Its table is analysed afterwards, because it indexes an expression. */
const INDEX = 'idx_people_email';
const INDEXES = [
  {
    name: INDEX,
    sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${INDEX} ON people (lower(email))`,
    description: 'is built once for each kill',
  },
  {
    name: 'idx_warm',
    sql: 'CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_warm ON other (id)',
    description: 'exists already, so that its build only starts a worker',
  },
];

/** What blocks the attempt, so that kills hit each part of it. */
type Blocked = 'by nothing' | 'by a lock on the table' | 'by an old snapshot';
interface Kill {
  /** Time of the kill, in per cent of the duration of an undisturbed attempt. */
  at: number;
  blocked: Blocked;
}

const kill: fc.Arbitrary<Kill> = fc.record({
  at: fc.noBias(fc.integer({ min: 0, max: 100 })),
  blocked: fc.constantFrom<Blocked>(
    'by nothing',
    'by nothing',
    'by a lock on the table',
    'by an old snapshot',
  ),
});

/** Kills that certainly hit the start, the lock, and a build that still runs when the next worker starts. */
const EXAMPLES: [Kill][] = [
  [{ at: 0, blocked: 'by nothing' }],
  [{ at: 90, blocked: 'by a lock on the table' }],
  [{ at: 100, blocked: 'by an old snapshot' }],
];

/** What the test does during an execution of build-indexes. */
interface Interference {
  afterFirstAnswer?: () => Promise<unknown>;
  /** Kills the first worker of Check Index after so many milliseconds. */
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
    run = openBuildIndexes(invokeAndInterfere);
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

  const invoke = (name: BuildFunction, deploy: string, index: string) =>
    instance.workflow.workflow.lambdas.invoke(functionNameOf(name), { deploy, index });

  const killWorkers = (name: BuildFunction) => instance.workflow.workflow.lambdas.kill(functionNameOf(name));

  /** Calls a function once, and kills its worker after so many milliseconds unless it has ended. */
  async function invokeAndKill(name: BuildFunction, deploy: string, milliseconds: number): Promise<unknown> {
    await invoke(name, 'warm', 'idx_warm');
    const answer = invoke(name, deploy, INDEX);
    answer.catch(() => {});
    await sleep(milliseconds);
    killWorkers(name);
    return await answer;
  }

  async function invokeAndInterfere(name: string, payload: unknown): Promise<unknown> {
    const { answers, killCheckAfterMs, afterFirstAnswer } = current;
    const kills = name === functionNameOf('check-index') && killCheckAfterMs !== undefined;
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

  /** The part of the attempt in which the worker was killed, as the catalog, the server's log and the ledger show it. */
  async function killedPart({ deploy, log }: { deploy: string; log: ServerLog }): Promise<string> {
    if (await isValid()) return 'at the finish';
    if (buildsOf(log.lines(), INDEX).length > 0) return 'in the build';
    const { rows } = await other.query('select from deploy_step.index_builds where deploy = $1', [deploy]);
    return rows.length > 0 ? 'at the lock' : 'at the start';
  }

  async function block(blocked: Blocked): Promise<Client> {
    const holder = await instance.session();
    if (blocked === 'by a lock on the table') await holder.query('begin; lock table people');
    if (blocked === 'by an old snapshot')
      await holder.query('begin isolation level repeatable read; select from other');
    return holder;
  }

  /** Kills a worker after so many milliseconds. If the worker was faster, it kills the next one earlier. */
  async function killOne(blocked: Blocked, milliseconds: number) {
    for (let wait = milliseconds; ; wait /= 2) {
      const deploy = randomUUID();
      const log = serverLog(instance.server.logFile);
      const holder = await block(blocked);
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

  test(`after each of ${kills} kills of a worker at a random moment the index is built once, and there are no leftovers`, async () => {
    // Prepare: measure an undisturbed attempt
    await finish(randomUUID());
    await other.query(`drop index ${INDEX}`);
    const measured = randomUUID();
    const started = performance.now();
    await invoke('build-index', measured, INDEX);
    const duration = performance.now() - started;
    await finish(measured);
    await other.query(`drop index ${INDEX}`);
    const killed: Record<string, number> = {};
    let foundRunning = 0;

    await fc.assert(
      fc.asyncProperty(kill, async ({ at, blocked }) => {
        // Act
        const { deploy, log, holder } = await killOne(
          blocked,
          ((duration * at) / 100) * (blocked === 'by nothing' ? 1 : 1.5),
        );
        const part = await killedPart({ deploy, log });
        killed[part] = (killed[part] ?? 0) + 1;
        if (blocked === 'by a lock on the table') await holder.query('rollback');
        // If a build still runs, the worker that checks it is killed too.
        const answers = await finish(deploy, {
          afterFirstAnswer: () => holder.end(),
          killCheckAfterMs: at,
        });
        await holder.end();
        if (part === 'in the build' && answers[0]?.state === 'building') foundRunning += 1;

        // Assess
        // No answer: Plan found that the index needs no build.
        expect(['built', 'present', undefined]).toContain(answers.at(-1)?.status);
        expect(await isValid()).toBe(true);
        expect(buildsOf(log.lines(), INDEX)).toHaveLength(1);
        await instance.expectNoLeftovers();
        await other.query(`drop index ${INDEX}`);
      }),
      { numRuns: kills, endOnFailure: true, examples: EXAMPLES },
    );
    console.info(
      `PostgreSQL ${major}: ${kills} kills (${JSON.stringify(killed)}), ${foundRunning} found the build running`,
    );
    expect(foundRunning).toBeGreaterThan(0);
  });

  test('the workflow continues when its workers are killed: the report has no error, and no alert is sent', async () => {
    // Prepare: a lock on the table, and an old snapshot that lasts longer than the lock
    const old = await instance.session();
    await old.query(
      'begin isolation level repeatable read; select from other; savepoint before; lock table people',
    );
    const waiting = async () =>
      (await other.query("select from pg_locks where relation = 'people'::regclass and not granted")).rows
        .length;
    const monitored = async () => {
      const last = (await instance.ledger(INDEX)).at(-1);
      return last?.status === 'building' && last.blockedBy !== null;
    };

    // Act: kill one worker while it waits for the lock, and one while the build continues
    const ended = instance.build(INDEX);
    await eventually(waiting).toBe(1);
    killWorkers('build-index');
    await old.query('rollback to savepoint before');
    await eventually(monitored).toBe(true);
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
