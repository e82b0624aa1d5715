import { RetentionDays } from 'aws-cdk-lib/aws-logs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ConfigurationError } from '../../lib/config/configuration-error.ts';
import { parseEnvironments } from '../../lib/config/environment-config.ts';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';
import { MACHINES } from './support/definitions.ts';
import { prodInput, type Synthesised, synthesise } from './support/synthesise.ts';
import { resourcesOf, resourcesOfType } from './support/template-values.ts';

const KEY = 'arn:aws:kms:eu-west-1:222222222222:key/99999999-2222-3333-4444-555555555555';

let synthesised: Synthesised;

beforeAll(async () => {
  synthesised = await synthesise({
    default: prodInput(),
    encrypted: { ...prodInput(), logs: { kmsKeyArn: KEY, retentionDays: 7 } },
    full: { ...prodInput(), logs: { kmsKeyArn: KEY, executionData: true } },
  });
});
afterAll(() => synthesised?.dispose());

const machinesOf = (name: string) =>
  resourcesOfType(synthesised.template(name), 'AWS::StepFunctions::StateMachine').map(
    ([, machine]) =>
      machine.Properties.LoggingConfiguration as { IncludeExecutionData: boolean; Level: string },
  );
const logGroupsOf = (name: string) =>
  resourcesOfType(synthesised.template(name), 'AWS::Logs::LogGroup').map(([, group]) => group.Properties);

test.each([
  ['default', false],
  ['encrypted', false],
  ['full', true],
])('the logs of the state machines of the environment %s contain execution data: %s', (name, expected) => {
  expect(machinesOf(name).map(({ Level: level, IncludeExecutionData: data }) => [level, data])).toEqual(
    MACHINES.map(() => ['ALL', expected]),
  );
});

test.each([
  ['default', undefined, 90],
  ['encrypted', KEY, 7],
  ['full', KEY, 90],
])('every log group of the environment %s has the configured key and retention', (name, key, days) => {
  const groups = logGroupsOf(name);

  expect(groups).toHaveLength(FUNCTIONS.length + MACHINES.length);
  for (const group of groups) {
    expect(group.KmsKeyId).toBe(key);
    expect(group.RetentionInDays).toBe(days);
  }
});

test('no function and no state machine writes to a log group outside of the stack', () => {
  const template = synthesised.template('encrypted');
  for (const [, fn] of resourcesOfType(template, 'AWS::Lambda::Function')) {
    const { LogGroup: group } = fn.Properties.LoggingConfig as { LogGroup: { Ref: string } };
    expect(resourcesOf(template)[group.Ref]?.Type).toBe('AWS::Logs::LogGroup');
  }
  for (const [, machine] of resourcesOfType(template, 'AWS::StepFunctions::StateMachine')) {
    const { Destinations: destinations } = machine.Properties.LoggingConfiguration as {
      Destinations: { CloudWatchLogsLogGroup: { LogGroupArn: { 'Fn::GetAtt': [string, string] } } }[];
    };
    expect(destinations).toHaveLength(1);
    for (const { CloudWatchLogsLogGroup: group } of destinations) {
      expect(resourcesOf(template)[group.LogGroupArn['Fn::GetAtt'][0]]?.Type).toBe('AWS::Logs::LogGroup');
    }
  }
});

describe('the configuration of the logs', () => {
  test.each([
    [
      'execution data without a key',
      { executionData: true },
      'logs.executionData: must be false without kmsKeyArn',
    ],
    [
      'an alias',
      { kmsKeyArn: 'arn:aws:kms:eu-west-1:222222222222:alias/logs' },
      'logs.kmsKeyArn: must be the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), not of an alias',
    ],
    [
      'every key',
      { kmsKeyArn: 'arn:aws:kms:eu-west-1:222222222222:key/*' },
      'logs.kmsKeyArn: must be the ARN',
    ],
    [
      'a key of another region',
      { kmsKeyArn: KEY.replace('eu-west-1', 'us-east-1') },
      'logs.kmsKeyArn: must be a key in the region of the environment',
    ],
    [
      'a period that CloudWatch does not have',
      { retentionDays: 89 },
      'logs.retentionDays: must be one of 1, 3, 5, 7',
    ],
    ['a period of 0', { retentionDays: 0 }, 'logs.retentionDays: must be one of 1, 3, 5, 7'],
    [
      'an unknown field',
      { data: true },
      'logs: unknown field data; valid fields: kmsKeyArn, retentionDays, executionData',
    ],
  ])('refuses %s', (_what, logs, message) => {
    const read = () => parseEnvironments({ prod: { ...prodInput(), logs } });
    expect(read).toThrow(ConfigurationError);
    expect(read).toThrow(`environments.prod.${message}`);
  });

  test('accepts every period of CloudWatch Logs except "never expire"', () => {
    const periods = Object.values(RetentionDays).filter((days) => typeof days === 'number');
    expect(periods.length).toBeGreaterThan(20);
    for (const retentionDays of periods.filter((days) => days !== RetentionDays.INFINITE)) {
      const parsed = parseEnvironments({ prod: { ...prodInput(), logs: { retentionDays } } as never });
      expect(parsed.prod?.logs.retentionDays).toBe(retentionDays);
    }
  });
});

describe('a name in the configuration cannot be a wildcard in a policy', () => {
  const wrong: [string, object, string][] = [
    [
      'the cluster of a service',
      { services: [{ name: 'a', cluster: '*', service: 'api' }] },
      'services.0.cluster',
    ],
    ['an ECS service', { services: [{ name: 'a', cluster: 'prod', service: 'ap?' }] }, 'services.0.service'],
    [
      'an ECS service in another cluster',
      { services: [{ name: 'a', cluster: 'prod', service: 'x/api' }] },
      'services.0.service',
    ],
    ['a rule', { services: [{ name: 'a', kind: 'event-rule', rule: 'nightly*' }] }, 'services.0.rule'],
    [
      'a bus',
      { services: [{ name: 'a', kind: 'event-rule', rule: 'b', eventBus: '*' }] },
      'services.0.eventBus',
    ],
    [
      'a schedule',
      {
        services: [{ name: 'a', kind: 'schedule', schedule: '*', role: 'arn:aws:iam::222222222222:role/a' }],
      },
      'services.0.schedule',
    ],
    [
      'a group of schedules',
      {
        services: [
          {
            ...{ name: 'a', kind: 'schedule', schedule: 'b', group: '*' },
            role: 'arn:aws:iam::222222222222:role/a',
          },
        ],
      },
      'services.0.group',
    ],
    [
      'the role of a schedule',
      {
        services: [{ name: 'a', kind: 'schedule', schedule: 'b', role: 'arn:aws:iam::222222222222:role/*' }],
      },
      'services.0.role',
    ],
    [
      'a function',
      {
        services: [
          { name: 'a', kind: 'custom', function: 'arn:aws:lambda:eu-west-1:222222222222:function:*' },
        ],
      },
      'services.0.function',
    ],
    [
      'a policy variable',
      { services: [{ name: 'a', cluster: ['$', '{aws:username}'].join(''), service: 'api' }] },
      'services.0.cluster',
    ],
    [
      'the secret',
      { database: { secretArn: 'arn:aws:secretsmanager:eu-west-1:222222222222:secret:prod/*-AbCdEf' } },
      'database.secretArn',
    ],
    [
      'the key of the secret',
      { database: { ...prodInput().database, secretKeyArn: 'arn:aws:kms:*:222222222222:key/*' } },
      'database.secretKeyArn',
    ],
    ['the region', { region: '*' }, 'region'],
    ['the account', { account: '*' }, 'account'],
    [
      'the cluster of the migrations',
      {
        migrations: {
          runner: 'ecs-task',
          cluster: '*',
          taskDefinition: 'm',
          container: 'c',
          launchType: 'EC2',
          roles: { task: 'none', execution: 'none' },
        },
      },
      'migrations.cluster',
    ],
    [
      'the family of the migrations',
      {
        migrations: {
          runner: 'ecs-task',
          cluster: 'c',
          taskDefinition: '*',
          container: 'c',
          launchType: 'EC2',
          roles: { task: 'none', execution: 'none' },
        },
      },
      'migrations.taskDefinition',
    ],
    [
      'a role of the migrations',
      {
        migrations: {
          runner: 'ecs-task',
          cluster: 'c',
          taskDefinition: 'm',
          container: 'c',
          launchType: 'EC2',
          roles: { task: 'arn:aws:iam::222222222222:role/*', execution: 'none' },
        },
      },
      'migrations.roles.task',
    ],
    [
      'the function of the migrations',
      { migrations: { runner: 'lambda', function: 'shop-*' } },
      'migrations.function',
    ],
  ];

  test.each(wrong)('%s', (_what, change, path) => {
    const read = () => parseEnvironments({ prod: { ...prodInput(), ...change } });
    expect(read).toThrow(`environments.prod.${path}: must `);
  });

  test.each([
    [
      'a secret that RDS manages',
      {
        database: {
          secretArn: 'arn:aws:secretsmanager:eu-west-1:222222222222:secret:rds!cluster-0a1b-AbCdEf',
          host: 'shop.cluster-abc.eu-west-1.rds.amazonaws.com',
          name: 'shop',
        },
      },
    ],
    [
      'a partner event bus',
      { services: [{ name: 'a', kind: 'event-rule', rule: 'r', eventBus: 'aws.partner/example.com/a-1' }] },
    ],
    [
      'a key for several regions',
      { logs: { kmsKeyArn: 'arn:aws:kms:eu-west-1:222222222222:key/mrk-0123456789abcdef0123456789abcdef' } },
    ],
    ['a region of GovCloud', { region: 'us-gov-west-1' }],
  ])('%s is accepted', (_what, change) => {
    expect(() => parseEnvironments({ prod: { ...prodInput(), ...change } })).not.toThrow();
  });
});
