import { describe, expect, test } from 'vitest';
import type { MigrationFacts } from '../../lambdas/report/migration-facts.ts';
import { migrationsReport } from '../../lambdas/report/migrations-report.ts';
import type { MigrationRunner } from '../../lambdas/shared/migration-runner.ts';
import { type WindowMigrations, windowMigrationsSchema } from '../../lambdas/shared/payloads.ts';

const TASK: MigrationRunner = {
  name: 'ecs-task',
  ...{ cluster: 'prod', taskDefinition: 'shop-migrate', container: 'migrate', timeoutMinutes: 60 },
  logs: { group: '/ecs/shop', streamPrefix: 'shop' },
};

const FACTS: MigrationFacts = {
  pending: ['0001_a'],
  pendingOnline: [],
  applied: [],
  isRecorded: true,
  session: null,
};

const failed = (
  runner: MigrationRunner,
  caught: WindowMigrations['caught'],
  facts: MigrationFacts | null = FACTS,
) =>
  migrationsReport(
    runner.name,
    { window: windowMigrationsSchema.parse({ status: 'failed', runner, caught }) },
    { facts },
  ).failure;

const ARN = 'arn:aws:ecs:eu-west-1:222222222222:task/prod/0123456789abcdef';

describe('the report of a failed ECS task', () => {
  test('names the task, its container, the exit code, the reasons and the log, and ignores other fields of the Cause', () => {
    const cause = {
      Attachments: [{ Details: [] }],
      Containers: [
        { Name: 'log-router', ExitCode: 0 },
        { Name: 'migrate', ExitCode: 137, Reason: 'OutOfMemoryError: Container killed due to memory usage' },
      ],
      StoppedReason: 'Essential container in task exited',
      TaskArn: ARN,
      TaskDefinitionArn: 'arn:aws:ecs:eu-west-1:222222222222:task-definition/shop-migrate:42',
    };

    expect(failed(TASK, { Error: 'States.TaskFailed', Cause: JSON.stringify(cause) })?.message).toBe(
      'The migration failed: the container migrate of the task 0123456789abcdef (task definition shop-migrate:42, cluster prod) ended with exit code 137: Essential container in task exited; OutOfMemoryError: Container killed due to memory usage. Its log: CloudWatch log group /ecs/shop, stream shop/migrate/0123456789abcdef.',
    );
  });

  test.each<[string, string | null, string]>([
    ['has no containers', JSON.stringify({ TaskArn: ARN }), 'did not start, or has no exit code.'],
    [
      'has fields of other types',
      JSON.stringify({ TaskArn: 1, StoppedReason: 'pulled', Containers: 'x' }),
      'the task unknown',
    ],
    [
      'is a sentence',
      'Capacity is unavailable at this time',
      'could not be run (container migrate, task definition shop-migrate, cluster prod). AmazonECS.Unknown: Capacity is unavailable at this time',
    ],
    ['is JSON of something else', '[1]', 'could not be run'],
    ['is cut off', '{"TaskArn":"arn', 'could not be run'],
    ['is missing', null, 'AmazonECS.Unknown: no cause was reported'],
  ])('has a message if the Cause %s', (_condition, cause, expected) => {
    expect(failed(TASK, { Error: 'AmazonECS.Unknown', Cause: cause })?.message).toContain(expected);
  });

  test('says how to configure the log if none is configured', () => {
    const failure = failed(
      { ...TASK, logs: null },
      { Error: 'States.TaskFailed', Cause: JSON.stringify({ TaskArn: ARN }) },
    );

    expect(failure).toMatchObject({ log: null, message: expect.not.stringContaining('log') });
    expect(failure?.next[0]).toContain('If you configure migrations.logs');
  });
});

describe('SQL migrations that exceed the time limit', () => {
  test.each([
    ['of the state', { Error: 'States.Timeout', Cause: null }],
    [
      'of the function',
      { Error: 'Sandbox.Timedout', Cause: '{"errorMessage":"Task timed out after 900.00 seconds"}' },
    ],
    [
      'of the function, under its other name',
      {
        Error: 'Lambda.Unknown',
        Cause: 'The cause could not be determined. Task timed out after 900.00 seconds',
      },
    ],
  ])('%s are reported with the advice to use the runner ecs-task', (_limit, caught) => {
    expect(failed({ name: 'sql' }, caught)?.message).toBe(
      'The migrations took longer than 15 minutes, the limit of a Lambda function, and no migration was applied. For a longer migration use the runner ecs-task, which does not have this limit: see migrations in docs/configuration.md.',
    );
  });
});

test('the report shows any other error of run-migrations with its message', () => {
  expect(
    failed({ name: 'sql' }, { Error: 'MigrationLocked', Cause: '{"errorMessage":"Another session."}' })
      ?.message,
  ).toBe('The migrations failed, and no migration was applied: MigrationLocked: Another session.');
});

test('the report of a function names the limit of Step Functions if its answer was too large', () => {
  const runner: MigrationRunner = { name: 'lambda', function: 'shop-migrate', timeoutMinutes: 5 };

  expect(failed(runner, { Error: 'States.DataLimitExceeded', Cause: '' })?.message).toContain(
    'returned more than 256 KiB',
  );
});

describe('after an error of run-migrations, the report says what the database knows', () => {
  const message = (facts: MigrationFacts | null) =>
    failed({ name: 'sql' }, { Error: 'ConnectionLost', Cause: '{"errorMessage":"Lost."}' }, facts)?.message;

  test.each<[string, MigrationFacts | null, string]>([
    [
      'nothing is pending, and nothing was applied',
      { ...FACTS, pending: [] },
      'and no migration was applied: ',
    ],
    [
      'the migrations were applied',
      { ...FACTS, pending: [], applied: ['0001_a', '0002_b'] },
      'The function that applies the migrations failed, but the migrations were applied before the function failed (0001_a, 0002_b): ConnectionLost: Lost.',
    ],
    [
      'a session still applies them',
      { ...FACTS, session: 'pid 7 (pg-deploy-step migrate)' },
      'it is unknown whether migrations were applied, because its session has not ended yet: pid 7 (pg-deploy-step migrate)',
    ],
    [
      'the database cannot be read',
      null,
      'it is unknown whether migrations were applied, because the database',
    ],
    [
      'nothing is recorded',
      { ...FACTS, pending: [], isRecorded: false },
      'it is unknown whether migrations were applied, because the role may not record that',
    ],
  ])('%s', (_state, facts, expected) => {
    expect(message(facts)).toContain(expected);
  });
});
