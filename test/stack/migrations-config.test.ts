import { describe, expect, test } from 'vitest';
import { parseEnvironments } from '../../lib/config/load-environments.ts';
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

describe('who runs the migrations', () => {
  test.each([
    ['nothing is said', undefined, { runner: 'sql', directory: 'database/migrations' }],
    ['a folder', 'db/sql', { runner: 'sql', directory: 'db/sql' }],
    ['the word none', 'none', { runner: 'none' }],
    ['the runner sql', { runner: 'sql', directory: 'db/sql' }, { runner: 'sql', directory: 'db/sql' }],
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

  test('is the same schema that other apps parse with', () => {
    expect(migrationsSchema.parse('none')).toEqual({ runner: 'none' });
  });
});

describe('what cannot be used is refused with its path and what it may be', () => {
  const ANY =
    'must be a folder with SQL files, "none", or an object whose runner is one of sql, ecs-task, lambda, none';

  test.each<[string, unknown, string]>([
    ['no text', '', `migrations: ${ANY}`],
    ['a number', 7, `migrations: ${ANY}`],
    ['no runner', {}, 'migrations.runner: must be one of sql, ecs-task, lambda, none'],
    ['an unknown runner', { runner: 'ecs' }, 'migrations.runner: must be one of sql, ecs-task, lambda, none'],
    ['an unknown field', { runner: 'none', x: 1 }, 'migrations: unknown field x'],
    [
      'the ARN of a cluster',
      { ...TASK, cluster: 'arn:aws:ecs:x' },
      'migrations.cluster: letters, digits, - and _ only: the name, not its ARN',
    ],
    [
      'an ARN without its revision',
      { ...TASK, taskDefinition: 'arn:aws:ecs:eu-west-1:222222222222:task-definition/app' },
      'migrations.taskDefinition: an ARN needs its revision at the end',
    ],
    ['no network on Fargate', { ...TASK, network: undefined }, 'migrations.network: is needed for FARGATE'],
    [
      'a public address on EC2',
      { ...TASK, launchType: 'EC2', network: { ...TASK.network, assignPublicIp: true } },
      'migrations.network.assignPublicIp: cannot be true for EC2',
    ],
    [
      'another launch type',
      { ...TASK, launchType: 'fargate' },
      'migrations.launchType: must be one of FARGATE, EC2',
    ],
    [
      'a name of a role',
      { ...TASK, roles: { task: 'app', execution: 'none' } },
      'migrations.roles.task: must be the ARN of the role that the task definition names, or "none"',
    ],
    [
      'a password in a variable',
      { ...TASK, environment: { URL: 'postgres://app:s3cret@host/db' } },
      'migrations.environment.URL: holds a password',
    ],
    [
      'a wrong name of a variable',
      { ...TASK, environment: { 'A-B': 'x' } },
      'migrations.environment.A-B: a name has letters, digits and _ only',
    ],
    [
      'overrides that RunTask would not take',
      { ...TASK, command: ['x'.repeat(9_000)] },
      'migrations.command: takes more than 8192 characters',
    ],
    ['no time', { ...TASK, timeoutMinutes: 0 }, 'migrations.timeoutMinutes: '],
    [
      'a function by no name',
      { runner: 'lambda', function: 'my function' },
      'migrations.function: must be the name or the ARN of a function',
    ],
    [
      'a payload that Step Functions would change',
      { runner: 'lambda', function: 'f', payload: { a: [{ 'b.$': '$.c' }] } },
      'migrations.payload: has a key that ends in .$',
    ],
    [
      'more time than a function has',
      { runner: 'lambda', function: 'f', timeoutMinutes: 16 },
      'migrations.timeoutMinutes: at most 15, as long as a Lambda function may run: take the runner ecs-task for more',
    ],
  ])('%s', (_what, migrations, message) => {
    expect(() => parse(migrations)).toThrow(`environments.prod.${message}`);
    expect(() => parse(migrations)).not.toThrow('s3cret');
  });
});
