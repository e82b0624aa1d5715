import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { App } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import indexes from '../../integ/database/indexes.ts';
import { FIRST_REPORT, SECOND_REPORT } from '../../integ/expected-reports.ts';
import { APPLICATION_NAME, CLUSTER, SERVICE, TASKS } from '../../integ/slow-service.ts';
import { createStacks, ENVIRONMENT, ENVIRONMENT_NAME } from '../../integ/stacks.ts';
import { parseEnvironments } from '../../lib/config/environment-config.ts';
import { LOCAL_ENVIRONMENT } from '../../lib/local/local-environment.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { openTestWorkflow, type TestWorkflow } from '../support/workflow.ts';
import { type AnswerCall, createAssertionStack } from './assertion-stack.ts';

/*
 * The assertions of the test on AWS, run against the workflow on this machine: the same migrations, indexes, services and
 * stack, and the function that evaluates the assertions on AWS.
 */

let folder: string;
let template: Template;
let database: TestDatabase;
let opened: TestWorkflow | undefined;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-integ-'));
  const { assertions } = await createStacks(new App({ outdir: folder, analyticsReporting: false }));
  template = Template.fromStack(assertions);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
beforeEach(async () => {
  database = await createDatabase();
});
afterEach(async () => {
  await opened?.close();
  opened = undefined;
  await database.drop();
});

/** The migrations, which search for the sessions of the local service under the name that the local ECS gives them. */
function migrations(): Record<string, string> {
  const directory = join(import.meta.dirname, '../../integ', ENVIRONMENT.migrations);
  return Object.fromEntries(
    readdirSync(directory).map((file) => [
      file.replace(/\.sql$/, ''),
      readFileSync(join(directory, file), 'utf8').replaceAll(`'${APPLICATION_NAME}'`, `'${SERVICE}'`),
    ]),
  );
}

async function open({ drain }: { drain: boolean }): Promise<TestWorkflow> {
  const environment = parseEnvironments({ integ: ENVIRONMENT }).integ;
  opened = await openTestWorkflow({
    databaseUrl: database.url,
    indexes: [...indexes],
    migrations: migrations(),
    services: 'none',
    environment: {
      services: environment?.services ?? [],
      ...(drain && { drain: { roles: [], applicationNames: [SERVICE], seconds: 60 } }),
    },
    aws: {
      services: [
        {
          ...{ cluster: CLUSTER, service: SERVICE, desiredCount: TASKS },
          ...{ deregistrationDelaySeconds: 2, deprovisioningSeconds: 1 },
          scaling: { min: TASKS, max: TASKS + 1 },
          variables: { DATABASE_URL: database.url, WORK_SQL: 'select 1' },
        },
      ],
    },
  });
  return opened;
}

/** Answers the calls of the assertions with the workflow on this machine, whose environment has another name. */
function answerWith({ workflow, deploy, events }: TestWorkflow): AnswerCall {
  const executions: { status: string; output?: string }[] = [];
  const local = (text: string) =>
    text
      .replaceAll(`pg-deploy-step-${ENVIRONMENT_NAME}-`, `pg-deploy-step-${LOCAL_ENVIRONMENT}-`)
      .replaceAll(`/pg-deploy-step/${ENVIRONMENT_NAME}/`, `/pg-deploy-step/${LOCAL_ENVIRONMENT}/`);
  return async (service, action, given) => {
    const input = JSON.parse(local(JSON.stringify(given)));
    if (action === 'StartExecution') {
      expect(input.stateMachineArn).toMatch(/:stateMachine:pg-deploy-step-local-deploy$/);
      const { status, report } = await deploy(JSON.parse(input.input));
      executions.push({ status, ...(status === 'SUCCEEDED' && { output: JSON.stringify(report) }) });
      return { executionArn: `execution ${executions.length - 1}` };
    }
    if (action === 'DescribeExecution') {
      return { ...executions[Number(input.executionArn.split(' ')[1])], input: '{}' };
    }
    if (action === 'ListExecutions') {
      const machine = input.stateMachineArn.split(':').at(-1);
      const ended = events.filter(
        (event) => event.machine === machine && event.type === 'ExecutionSucceeded',
      );
      return { executions: ended.map(({ execution }) => ({ name: execution, status: 'SUCCEEDED' })) };
    }
    // The SDK for JavaScript writes the fields of ECS in another way than Step Functions.
    const isEcs = service === 'ecs';
    const resource = `arn:aws:states:::aws-sdk:${service.replaceAll('-', '')}:${action[0]?.toLowerCase()}${action.slice(1)}`;
    const result = await workflow.aws.call(resource, isEcs ? withKeys(input, 'toUpperCase') : input);
    return (isEcs ? withKeys(result, 'toLowerCase') : result) as Record<string, unknown>;
  };
}

function withKeys(value: unknown, first: 'toUpperCase' | 'toLowerCase'): unknown {
  if (Array.isArray(value)) return value.map((item) => withKeys(item, first));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      `${key[0]?.[first]()}${key.slice(1)}`,
      withKeys(inner, first),
    ]),
  );
}

test('all assertions are true for a deploy that works, and the second deploy has nothing to do', async () => {
  const created = await createAssertionStack(template, answerWith(await open({ drain: true })));

  const started = created.flatMap((what, at) => (what === 'startExecution' ? [at] : []));
  const asserted = (report: Record<string, string | number>) =>
    Object.entries(report).map(
      ([path, value]) => `describeExecution output.${path} ${JSON.stringify(value)}`,
    );
  expect(started.length).toBe(2);
  expect(created.slice(0, started[1])).toEqual(expect.arrayContaining(asserted(FIRST_REPORT)));
  expect(created.slice(started[1])).toEqual(expect.arrayContaining(asserted(SECOND_REPORT)));
});

test('an assertion fails when the migrations start while a session of the service is open', async () => {
  const workflow = await open({ drain: false });
  const session = await connect(database.url, SERVICE);
  try {
    await expect(createAssertionStack(template, answerWith(workflow))).rejects.toThrow(
      'The assertion is not true: describeExecution status "SUCCEEDED"',
    );
    expect(workflow.log.join('\n')).toContain('still had');
  } finally {
    await session.end();
  }
});
