import { describe, expect, test } from 'vitest';
import { parseEnvironments } from '../../lib/config/environment-config.ts';
import { type Migrations, migrationsSchema } from '../../lib/config/migrations-config.ts';
import { prodInput } from './support/synthesise.ts';

const parse = (migrations: unknown): Migrations | undefined =>
  parseEnvironments({ prod: { ...prodInput(), migrations } }).prod?.migrations;

const ROLE = 'arn:aws:iam::222222222222:role/service/app';
const TASK = {
  runner: 'ecs-task',
  ...{ cluster: 'prod', taskDefinition: 'app', container: 'app' },
  network: { subnetIds: ['subnet-a'], securityGroupIds: ['sg-a'] },
  roles: { task: ROLE, execution: ROLE },
};

const LIMITS = { lockTimeoutSeconds: 30, attempts: 10 };

describe('the runner of the migrations', () => {
  test.each([
    ['no value', undefined, { runner: 'sql', directory: 'database/migrations', ...LIMITS }],
    ['a folder', 'db/sql', { runner: 'sql', directory: 'db/sql', ...LIMITS }],
    ['the text none', 'none', { runner: 'none' }],
    [
      'the runner sql',
      { runner: 'sql', directory: 'db/sql' },
      { runner: 'sql', directory: 'db/sql', ...LIMITS },
    ],
    [
      'the limits of the runner sql',
      { runner: 'sql', directory: 'db/sql', lockTimeoutSeconds: 3, attempts: 1 },
      { runner: 'sql', directory: 'db/sql', lockTimeoutSeconds: 3, attempts: 1 },
    ],
    ['the runner none', { runner: 'none' }, { runner: 'none' }],
    [
      'the runner ecs-task',
      TASK,
      {
        ...TASK,
        ...{ environment: {}, launchType: 'FARGATE', timeoutMinutes: 60 },
        network: { ...TASK.network, assignPublicIp: false },
      },
    ],
    [
      'the runner lambda',
      { runner: 'lambda', function: 'migrate' },
      { runner: 'lambda', function: 'migrate', payload: {}, timeoutMinutes: 15 },
    ],
    [
      'the advisory lock of the runner lambda',
      { runner: 'lambda', function: 'migrate', advisoryLock: '-9223372036854775808' },
      {
        ...{ runner: 'lambda', function: 'migrate', payload: {}, timeoutMinutes: 15 },
        advisoryLock: '-9223372036854775808',
      },
    ],
  ])('%s', (_what, written, expected) => {
    expect(parse(written)).toEqual(expected);
  });

  test.each(['app', 'app:7', 'arn:aws:ecs:eu-west-1:222222222222:task-definition/app:7'])(
    'the task definition %s',
    (taskDefinition) => {
      expect(parse({ ...TASK, taskDefinition })).toMatchObject({ taskDefinition });
    },
  );

  test.each([
    'migrate',
    'migrate:live',
    'migrate:$LATEST',
    'arn:aws:lambda:eu-west-1:222222222222:function:migrate:7',
  ])('the function %s', (name) => {
    expect(parse({ runner: 'lambda', function: name })).toMatchObject({ function: name });
  });

  test('other apps can use the schema directly', () => {
    expect(migrationsSchema.parse('none')).toEqual({ runner: 'none' });
  });
});

describe('a wrong value is refused with its path and what is valid there', () => {
  const ANY =
    'must be a folder with SQL files, "none", or an object with a runner: one of sql, ecs-task, lambda, none';

  test.each<[string, unknown, string]>([
    ['an empty text', '', `migrations: ${ANY}`],
    ['a number', 7, `migrations: ${ANY}`],
    ['no runner', {}, 'migrations.runner: must be one of sql, ecs-task, lambda, none'],
    ['an unknown runner', { runner: 'ecs' }, 'migrations.runner: must be one of sql, ecs-task, lambda, none'],
    [
      'a lock timeout that is too short',
      { runner: 'sql', lockTimeoutSeconds: 2 },
      'migrations.lockTimeoutSeconds: must be at least 3, because PostgreSQL cancels an autovacuum',
    ],
    [
      'a lock timeout that is too long',
      { runner: 'sql', lockTimeoutSeconds: 601 },
      'migrations.lockTimeoutSeconds: must be at most 600, because the migrations have to fit into one Lambda invocation',
    ],
    ['no attempt', { runner: 'sql', attempts: 0 }, 'migrations.attempts: '],
    [
      'a lock timeout of another runner',
      { runner: 'lambda', function: 'f', lockTimeoutSeconds: 30 },
      'migrations: unknown field lockTimeoutSeconds; valid fields: runner, function, payload, advisoryLock, timeoutMinutes',
    ],
    ['an unknown field', { runner: 'none', x: 1 }, 'migrations: unknown field x; valid fields: runner'],
    [
      'the ARN of a cluster',
      { ...TASK, cluster: 'arn:aws:ecs:x' },
      'migrations.cluster: must be a name, not an ARN, of letters, digits, - and _',
    ],
    [
      'an ARN without its revision',
      { ...TASK, taskDefinition: 'arn:aws:ecs:eu-west-1:222222222222:task-definition/app' },
      'migrations.taskDefinition: must have the revision at the end of the ARN',
    ],
    ['no network on Fargate', { ...TASK, network: undefined }, 'migrations.network: is required for FARGATE'],
    [
      'a public IP address on EC2',
      { ...TASK, launchType: 'EC2', network: { ...TASK.network, assignPublicIp: true } },
      'migrations.network.assignPublicIp: must not be true for EC2',
    ],
    [
      'a launch type in lower case',
      { ...TASK, launchType: 'fargate' },
      'migrations.launchType: must be one of FARGATE, EC2',
    ],
    [
      'a role by its name',
      { ...TASK, roles: { task: 'app', execution: 'none' } },
      'migrations.roles.task: must be the ARN of the role in the task definition, or "none"',
    ],
    [
      'a password in a variable',
      { ...TASK, environment: { URL: 'postgres://app:s3cret@host/db' } },
      'migrations.environment.URL: must not contain a password',
    ],
    [
      'a variable with a wrong name',
      { ...TASK, environment: { 'A-B': 'x' } },
      'migrations.environment.A-B: the name must consist of letters, digits and _',
    ],
    [
      'overrides that are too long for RunTask',
      { ...TASK, command: ['x'.repeat(9_000)] },
      'migrations.command: must have at most 8192 characters',
    ],
    ['a time limit of 0', { ...TASK, timeoutMinutes: 0 }, 'migrations.timeoutMinutes: '],
    [
      'a function with a wrong name',
      { runner: 'lambda', function: 'my function' },
      'migrations.function: must be the name or the ARN of a function',
    ],
    [
      'a payload that Step Functions would change',
      { runner: 'lambda', function: 'f', payload: { a: [{ 'b.$': '$.c' }] } },
      'migrations.payload: must not contain a key that ends in .$',
    ],
    ...['9223372036854775808', '1.5', 'orders', ''].map((advisoryLock): [string, unknown, string] => [
      `the advisory lock "${advisoryLock}"`,
      { runner: 'lambda', function: 'f', advisoryLock },
      'migrations.advisoryLock: must be the key of an advisory lock as text: an integer of 64 bits, such as "72707369"',
    ]),
    [
      'a time limit that Lambda does not allow',
      { runner: 'lambda', function: 'f', timeoutMinutes: 16 },
      'migrations.timeoutMinutes: must be at most 15, the time limit of Lambda: for longer migrations, use the runner ecs-task',
    ],
  ])('%s', (_what, migrations, message) => {
    expect(() => parse(migrations)).toThrow(`environments.prod.${message}`);
    expect(() => parse(migrations)).not.toThrow('s3cret');
  });
});

describe('what is pending', () => {
  const PRISMA = { tool: 'prisma', directory: 'prisma/migrations' };

  test.each([
    ['a task', TASK],
    ['a function', { runner: 'lambda', function: 'migrate' }],
  ])('%s can name its tool', (_what, runner) => {
    expect(parse({ ...runner, pending: PRISMA })).toMatchObject({ pending: PRISMA });
    expect(parse({ ...runner, pending: { ...PRISMA, table: 'shop._prisma_migrations' } })).toMatchObject({
      pending: { table: 'shop._prisma_migrations' },
    });
  });

  test.each([
    [
      { tool: 'knex', directory: 'migrations' },
      'environments.prod.migrations.pending.tool: must be one of alembic, django, drizzle, flyway, golang-migrate, node-pg-migrate, prisma, rails',
    ],
    [
      { tool: 'prisma' },
      "environments.prod.migrations.pending.directory: is required: the folder of the tool's",
    ],
    [{}, 'environments.prod.migrations.pending.tool: is required, with directory: one of alembic, django,'],
    [{ ...PRISMA, command: ['x'] }, 'pending.command: must not be combined with tool'],
    [{ ...PRISMA, timeoutMinutes: 1 }, 'pending.timeoutMinutes: is only for command'],
    [{ command: ['x'], directory: 'x' }, 'pending.directory: must not be combined with command'],
    [
      { command: ['migrate'] },
      'pending.command: must be another command than the one that runs the migrations',
    ],
    [{ command: ['x'], timeoutMinutes: 16 }, 'pending.timeoutMinutes: must be at most 15'],
    [
      { ...PRISMA, folder: 'x' },
      'unknown field folder; valid fields: tool, directory, table, command, timeoutMinutes',
    ],
    [
      { ...PRISMA, table: 'a.b.c' },
      'environments.prod.migrations.pending.table: must be TABLE or SCHEMA.TABLE, without quotes',
    ],
  ])('%j is refused', (pending, message) => {
    expect(() => parse({ ...TASK, command: ['migrate'], pending })).toThrow(message);
  });

  test.each([
    [
      { payload: { a: 1 } },
      'pending.payload: must be another payload than the one with which the function migrates',
    ],
    [{ payload: { 'b.$': '$.x' } }, 'pending.payload: must not contain a key that ends in .$'],
    [
      { command: ['x'] },
      'unknown field command; valid fields: tool, directory, table, payload, timeoutMinutes',
    ],
  ])('%j is refused for a function', (pending, message) => {
    const runner = { runner: 'lambda', function: 'migrate', payload: { a: 1 } };
    expect(() => parse({ ...runner, pending })).toThrow(message);
  });
});
