import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { LocalExecution } from '../../lib/local/engine.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { BUILD_INDEXES } from '../../lib/workflow/state-names.ts';
import { countHistoryEvents, waitForEnds } from '../support/executions.ts';
import { openInstance, type TestInstance } from '../support/instance.ts';
import { type ServerLog, serverLog } from '../support/server-log.ts';
import { MAJORS } from '../support/servers.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

const MOST_AT_ONCE = 3;

function entry(table: string, number: number, columns: string): IndexEntry {
  const name = `idx_${table}_${String(number).padStart(2, '0')}`;
  return {
    name,
    sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${name} ON ${table} (${columns})`,
    description: 'one of many indexes on its table',
  };
}

/** Twenty indexes on one table, some of them on expressions. */
const CROWDED = Array.from({ length: 20 }, (_, at) =>
  entry('crowded', at, at % 5 === 4 ? `lower(b), a` : `a, (c + ${at})`),
);
const OTHERS = ['left_one', 'middle_one', 'right_one'].flatMap((table) =>
  [1, 2, 3].map((number) => entry(table, number, number === 3 ? 'lower(b)' : `a, (c + ${number})`)),
);
const FEW = [...CROWDED.slice(0, 4), ...OTHERS.slice(0, 4)].map(({ name }) => name);

const table = (name: string, rows: number) =>
  `create table ${name} as select n as a, 'b' || n as b, n % 7 as c from generate_series(1, ${rows}) n; analyze ${name};`;

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let instance: TestInstance;
  let elsewhere: TestWorkflow;
  let log: ServerLog;

  beforeAll(async () => {
    const registry = { indexes: [...CROWDED, ...OTHERS], builds: { maxConcurrent: MOST_AT_ONCE } };
    instance = await openInstance(major, {
      ...registry,
      tables:
        table('crowded', 30_000) +
        ['left_one', 'middle_one', 'right_one'].map((name) => table(name, 15_000)).join(''),
    });
    // The stack of another account on the same database. Its preflight does not see the executions of this account.
    elsewhere = await openTestWorkflow({ ...registry, databaseUrl: instance.database.url, services: 'none' });
  });

  afterAll(async () => {
    await elsewhere.close();
    await instance.close();
  });

  beforeEach(async () => {
    await instance.database.query(
      `do $$ declare name text; begin
         for name in select indexrelid::regclass from pg_index where indrelid >= 16384 and indexrelid::regclass::text like 'idx%' loop
           execute 'drop index ' || name;
         end loop;
       end $$;
       drop schema if exists deploy_step cascade;`,
    );
    log = serverLog(instance.server.logFile);
  });

  const built = async () =>
    await instance.database.query<{ name: string; built: number; valid: boolean }>(
      `select index_name as name, count(*) filter (where status in ('built', 'repaired'))::int as built,
              bool_and(i.indisvalid) as valid
         from deploy_step.index_builds
         join pg_index i on i.indexrelid = to_regclass(quote_ident(index_name))
        group by index_name order by index_name`,
    );

  /** The highest number of builds that ran at the same time, on one table and in total. */
  async function mostConcurrentBuilds(): Promise<{ onOneTable: number; inAll: number }> {
    const [most] = await instance.database.query<{ onOneTable: number; inAll: number }>(
      `select max(on_table)::int as "onOneTable", max(in_all)::int as "inAll"
         from (select count(*) filter (where other.table_name = one.table_name) as on_table, count(*) as in_all
                 from deploy_step.index_builds one
                 join deploy_step.index_builds other
                   on other.started_at <= one.started_at and other.finished_at > one.started_at
                group by one.deploy, one.item, one.attempt) moments`,
    );
    return most ?? { onOneTable: 0, inAll: 0 };
  }

  /** Expects that each index was built by one deploy in one attempt, and that there are no leftovers. */
  async function expectEachBuiltOnce(names: readonly string[]): Promise<void> {
    expect(await built()).toEqual(names.toSorted().map((name) => ({ name, built: 1, valid: true })));
    expect(log.text()).not.toContain('deadlock detected');
    expect((await mostConcurrentBuilds()).onOneTable).toBe(1);
    await instance.expectNoLeftovers();
  }

  const start = (input: unknown, machine = 'deploy') =>
    instance.workflow.workflow.engine.start(`pg-deploy-step-local-${machine}`, input);

  const startElsewhere = (input: unknown) =>
    elsewhere.workflow.engine.start('pg-deploy-step-local-deploy', input);

  const bothEnd = async (here: LocalExecution, there: LocalExecution) =>
    (await Promise.all([waitForEnds(instance.workflow, here), waitForEnds(elsewhere, there)])).flat();

  test('twenty indexes on one table and some on others are built without a deadlock, one at a time on each table', async () => {
    const { status, report } = await instance.workflow.deploy();

    expect(status).toBe('SUCCEEDED');
    expect(report.totals).toEqual({ created: 29, skipped: 0, failed: 0, remaining: 0 });
    expect(report.indexes.every((index) => index.attempts === 1)).toBe(true);
    await expectEachBuiltOnce([...CROWDED, ...OTHERS].map(({ name }) => name));
    const { inAll } = await mostConcurrentBuilds();
    expect(inAll).toBeGreaterThan(1);
    expect(inAll).toBeLessThanOrEqual(MOST_AT_ONCE);
    const plan = instance.workflow.events.find(
      (event) => event.state === BUILD_INDEXES.plan && event.type === 'StateExited',
    );
    expect(plan?.output).toMatchObject({ lanes: [{ table: 'crowded' }, {}, {}, {}] });
  });

  test('a round of builds needs as many history events as Plan calculates', async () => {
    const execution = start({ indexes: FEW }, 'build-indexes');
    await waitForEnds(instance.workflow, execution);

    const checks = instance.workflow.events.filter(
      (event) =>
        event.execution === execution.name &&
        event.type === 'StateEntered' &&
        event.state === BUILD_INDEXES.checkIndex,
    ).length;
    // The execution, Plan and its choice, the Map of the lanes, Plan Again and its choice, the end.
    const around = 2 + 7 + 4 + 7 + 2;
    const lanes = 3;
    expect(countHistoryEvents(instance.workflow.events, execution.name)).toBe(
      around + 6 * lanes + 11 * FEW.length + 9 * checks,
    );
  });

  test('two deploys that start together both succeed, and every index is built once', async () => {
    const ends = await bothEnd(start({ indexes: FEW }), startElsewhere({ indexes: FEW }));

    for (const { result, report } of ends) {
      expect(result.status).toBe('SUCCEEDED');
      expect(report).toMatchObject({ status: 'succeeded', totals: { failed: 0, remaining: 0 } });
    }
    await expectEachBuiltOnce(FEW);
    expect(instance.workflow.alerts).toEqual([]);
  });

  test('two deploys with opposite orders of the same indexes never build on a table at the same time', async () => {
    const ends = await bothEnd(start({ indexes: FEW }), startElsewhere({ indexes: FEW.toReversed() }));

    expect(ends.map(({ result }) => result.status)).toEqual(['SUCCEEDED', 'SUCCEEDED']);
    await expectEachBuiltOnce(FEW);
  });

  test('a deploy that starts during another one monitors the builds of that one', async () => {
    const first = start({ indexes: FEW });
    await eventually(async () => {
      const [row] = await instance.database.query("select to_regclass('deploy_step.index_builds') as ledger");
      return row?.ledger == null ? 0 : (await built()).filter((index) => index.built === 1).length;
    }).toBeGreaterThan(0);
    const ends = await bothEnd(first, startElsewhere({ indexes: FEW }));

    expect(ends.map(({ result }) => result.status)).toEqual(['SUCCEEDED', 'SUCCEEDED']);
    await expectEachBuiltOnce(FEW);
  });

  test('a deploy that starts after another one finds nothing to do', async () => {
    await waitForEnds(instance.workflow, start({ indexes: FEW }));
    const [second] = await waitForEnds(instance.workflow, start({ indexes: FEW }));

    expect(second?.report?.totals).toEqual({ created: 0, skipped: FEW.length, failed: 0, remaining: 0 });
    await expectEachBuiltOnce(FEW);
  });

  test('two executions of build-indexes at the same time both succeed, and every index is built once', async () => {
    const ends = await waitForEnds(
      instance.workflow,
      start({ indexes: FEW }, 'build-indexes'),
      start({ indexes: FEW.toReversed() }, 'build-indexes'),
    );

    for (const { result } of ends) {
      expect(result).toMatchObject({
        status: 'SUCCEEDED',
        output: { decision: 'done', failed: { critical: 0, nonCritical: 0 } },
      });
    }
    await expectEachBuiltOnce(FEW);
  });

  test('a deploy and an execution for one index of the same table both succeed', async () => {
    const single = FEW[3];
    const ends = await waitForEnds(
      instance.workflow,
      start({ indexes: FEW }),
      start({ indexes: [single] }, 'build-indexes'),
    );

    expect(ends.map(({ result }) => result.status)).toEqual(['SUCCEEDED', 'SUCCEEDED']);
    await expectEachBuiltOnce(FEW);
  });
});
