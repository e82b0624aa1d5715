import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { MIGRATIONS, MIGRATIONS_END } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { readServices } from '../support/service-kinds.ts';
import { eventually } from '../support/waits.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * Kills the deploy in each state that runs or stops the migration task, while the task hangs.
 * The tests in the folder killed cover the states that every environment has.
 */

let database: TestDatabase;
let workflow: TestWorkflow;
let observe: (event: EngineEvent) => void = () => {};

beforeAll(async () => {
  database = await createDatabase();
  workflow = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [],
    runner: {
      runner: 'ecs-task',
      ...{ cluster: 'demo', taskDefinition: 'hangs', container: 'migrate', timeoutMinutes: 1 / 60 },
      roles: { task: 'none', execution: 'none' },
      network: { subnetIds: ['subnet-1'], securityGroupIds: ['sg-1'] },
    },
    aws: {
      tasks: [
        {
          ...{ cluster: 'demo', family: 'hangs', container: 'migrate' },
          command: ['sleep', '600'],
          variables: {},
        },
      ],
    },
    onEvent: (event) => observe(event),
  });
});

afterAll(async () => {
  await workflow.close();
  await database.drop();
});

/**
 * The first needs more tasks than one page lists. In the others the task does not stop within `stopMinutes`, or a task of an
 * earlier deploy does not: test/workflow/migration-end.test.ts has them.
 */
const NOT_REACHED: readonly string[] = [
  MIGRATIONS_END.listMoreTasks,
  MIGRATIONS_END.stillRunning,
  MIGRATIONS.earlierRuns,
  MIGRATIONS.whoseTaskRuns,
];

/** Runs the deploy. @returns the states of the window that it entered, from the migrations on */
async function runOnce(killIn: string | undefined): Promise<Set<string>> {
  const entered = new Set<string>();
  const { execution, ended } = workflow.workflow.start({});
  observe = ({ type, machine, state }) => {
    if (type !== 'StateEntered' || !machine.endsWith('maintenance-window') || state === null) return;
    if (entered.size === 0 && state !== MIGRATIONS.run) return;
    entered.add(state);
    if (state === killIn) execution.abort();
  };
  await ended;
  observe = () => {};
  return entered;
}

test('a deploy that is killed in any state around a hanging migration task leaves no service stopped', async () => {
  const before = readServices(workflow);
  const reached = await runOnce(undefined);
  const own = Object.values<unknown>({ ...MIGRATIONS, ...MIGRATIONS_END }).filter((name) =>
    workflow.workflow.stateNames().includes(`maintenance-window: ${name}`),
  );
  expect(own.filter((state) => !reached.has(String(state))).toSorted()).toEqual(NOT_REACHED.toSorted());

  for (const state of reached) {
    await runOnce(state);
    await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'killed', status: 'ABORTED' });
    await workflow.workflow.aws.steady();
    expect({ killedIn: state, ...readServices(workflow) }).toEqual({ killedIn: state, ...before });
    // The end of the execution that waits for the task stops the task.
    if (state === MIGRATIONS.run) await eventually(() => workflow.workflow.aws.runningTasks).toBe(0);
  }
  console.log(
    `Killed in ${reached.size} states around the migration task. The services were started again after each.`,
  );
}, 1_200_000);
