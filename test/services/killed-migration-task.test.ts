import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EngineEvent } from '../../lib/local/engine.ts';
import { MIGRATIONS } from '../../lib/workflow/state-names.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { servicesNow } from '../support/services.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';

/*
 * The deploy is killed in each state that a migration's task has of its own, while the task hangs. The other states are
 * those of every environment: killed.test.ts.
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

/** States of the window from the migrations on. */
async function runOnce(killIn: string | undefined): Promise<string[]> {
  const entered: string[] = [];
  const { execution, ended } = workflow.workflow.start({});
  observe = ({ type, machine, state }) => {
    if (type !== 'StateEntered' || !machine.endsWith('maintenance-window') || state === null) return;
    if (entered.length === 0 && state !== MIGRATIONS.run) return;
    entered.push(state);
    if (state === killIn) execution.abort();
  };
  await ended;
  observe = () => {};
  return entered;
}

test('killed in each state around a task that hangs, the services come back', async () => {
  const before = servicesNow(workflow);
  const reached = await runOnce(undefined);
  const own = workflow.workflow
    .stateNames()
    .filter((name) => /^maintenance-window: .*(Migration|Late)/.test(name))
    .map((name) => name.replace('maintenance-window: ', ''));
  expect(reached.toSorted()).toEqual(own.toSorted());

  for (const state of reached) {
    await runOnce(state);
    await workflow.workflow.recover({ reason: 'deploy-ended', deploy: 'killed', status: 'ABORTED' });
    await workflow.workflow.aws.steady();
    expect({ killedIn: state, ...servicesNow(workflow) }).toEqual({ killedIn: state, ...before });
    // It is stopped with the execution that waits for it.
    if (state === MIGRATIONS.run) expect(workflow.workflow.aws.runningTasks).toBe(0);
  }
  console.log(
    `Killed in ${reached.length} states around a migration's task; the services came back in all of them.`,
  );
});
