import { describe, expect, test } from 'vitest';
import { ConfigurationError } from '../../lib/config/configuration-error.ts';
import { parseEnvironments } from '../../lib/config/environment-config.ts';
import { prodInput } from './support/synthesise.ts';

/** A copy of the example environment `prod` with another value at a path. Undefined removes the value. */
function prodWith(path: string, value: unknown): Record<string, unknown> {
  const environment: Record<string, unknown> = structuredClone(prodInput());
  const steps = path.split('.');
  const last = steps.pop() ?? '';
  const parent = steps.reduce((at, step) => at[step] as Record<string, unknown>, environment);
  if (value === undefined) delete parent[last];
  else parent[last] = value;
  return { prod: environment };
}

function refusalOf(raw: unknown): string {
  try {
    parseEnvironments(raw);
  } catch (error) {
    if (error instanceof ConfigurationError) return error.message;
    throw error;
  }
  throw new Error('The configuration was accepted.');
}

test('the example environments are accepted, with their defaults', () => {
  const { prod } = parseEnvironments({ prod: prodInput() });

  expect(prod?.builds).toEqual({
    maxConcurrent: 4,
    lockTimeoutSeconds: 300,
    attempts: 10,
    maxPauseSeconds: 300,
    waitSeconds: 60,
    perRound: 500,
    when: 'before-start',
    retiredAfterDays: 14,
  });
  expect(prod).toMatchObject({ onMigrationFailure: 'start', onCriticalFailure: 'leave-stopped' });
});

describe('a wrong value is refused with its path', () => {
  test.each([
    [
      'checks that do not fit into the history of one execution',
      'pollSeconds',
      1,
      'environments.prod.pollSeconds: too many checks for the history of one execution',
    ],
    [
      'an unknown field',
      'colour',
      'blue',
      'environments.prod: unknown field colour; valid fields: account, region, network, database',
    ],
    [
      'an unknown field of an inner object',
      'builds.lockTimeout',
      5,
      'environments.prod.builds: unknown field lockTimeout',
    ],
    [
      'a database without a secret',
      'database.secretArn',
      undefined,
      'environments.prod.database.secretArn: ',
    ],
    [
      'a secret by its name instead of its ARN',
      'database.secretArn',
      'prod/postgres',
      'environments.prod.database.secretArn: ',
    ],
    ['a port that is out of range', 'database.port', 70_000, 'environments.prod.database.port: '],
    [
      'a search path that is not a list of names',
      'database.searchPath',
      'app, , public',
      'environments.prod.database.searchPath: must be names of schemas, separated by commas, such as app, "$user", public',
    ],
    [
      'a search path of another type',
      'database.searchPath',
      ['app', 5],
      'environments.prod.database.searchPath: must be names of schemas, separated by commas',
    ],
    [
      'a search path without schemas',
      'database.searchPath',
      [],
      'environments.prod.database.searchPath: must name at least one schema',
    ],
    [
      'a search path with a name that no schema can have',
      'database.searchPath',
      ['app', 'ä'.repeat(32)],
      'environments.prod.database.searchPath: must contain names of at most 63 bytes',
    ],
    [
      'PUBLIC as a trusted role',
      'database.trustedRoles',
      ['owner', 'Public'],
      'environments.prod.database.trustedRoles.1: must be the name of one role: PUBLIC is every role',
    ],
    [
      'a trusted role without a name',
      'database.trustedRoles',
      [''],
      'environments.prod.database.trustedRoles.0: must be the name of a database role',
    ],
    [
      'a trusted role with a name that no role can have',
      'database.trustedRoles',
      ['ä'.repeat(32)],
      'environments.prod.database.trustedRoles.0: must be the name of a database role, which has at most 63 bytes',
    ],
    ['a VPC by its name instead of its id', 'network.vpcId', 'my-vpc', 'environments.prod.network.vpcId: '],
    ['a subnet', 'network.subnetIds.1', 'sn-1', 'environments.prod.network.subnetIds.1: '],
    ['no security group', 'network.securityGroupIds', [], 'environments.prod.network.securityGroupIds: '],
    [
      'fewer zones than subnets',
      'network.availabilityZones',
      ['eu-west-1a'],
      'environments.prod.network.availabilityZones: must have one entry for each entry of subnetIds',
    ],
    [
      'a lock timeout too short to evict autovacuum',
      'builds.lockTimeoutSeconds',
      1,
      'environments.prod.builds.lockTimeoutSeconds: must be at least 3',
    ],
    [
      'a lock timeout longer than an invocation',
      'builds.lockTimeoutSeconds',
      601,
      'environments.prod.builds.lockTimeoutSeconds: must be at most 600',
    ],
    ['no concurrency', 'builds.maxConcurrent', 0, 'environments.prod.builds.maxConcurrent: '],
    [
      'a value that is not in a list',
      'builds.when',
      'later',
      'environments.prod.builds.when: must be one of before-start, after-start',
    ],
    [
      'another value that is not in a list',
      'onCriticalFailure',
      'ignore',
      'environments.prod.onCriticalFailure: must be one of leave-stopped, start',
    ],
    ['an account', 'account', '1234', 'environments.prod.account: must have 12 digits'],
    [
      'a service name',
      'services.0.name',
      'my api',
      'environments.prod.services.0.name: must consist of letters, digits',
    ],
    [
      'two services of one name',
      'services.1.name',
      'api',
      'environments.prod.services.1.name: must be unique, but another service is named "api" too',
    ],
    [
      'one ECS service under two names',
      'services.1.service',
      'api',
      'environments.prod.services.1: the service "api" of the cluster "prod" is already in the list: remove one of the two entries',
    ],
    [
      'a service of an unknown kind',
      'services.1',
      { name: 'job', kind: 'batch-job', queue: 'q' },
      'environments.prod.services.1.kind: must be one of ecs, event-rule, event-source-mapping, schedule, custom',
    ],
    [
      'a field of another kind',
      'services.1',
      { name: 'job', kind: 'event-rule', rule: 'nightly', cluster: 'prod' },
      'environments.prod.services.1: unknown field cluster',
    ],
    [
      'a rule without its name',
      'services.1',
      { name: 'job', kind: 'event-rule' },
      'environments.prod.services.1.rule: ',
    ],
    [
      'a mapping by the name of its function',
      'services.1',
      { name: 'queue', kind: 'event-source-mapping', uuid: 'my-function' },
      'environments.prod.services.1.uuid: ',
    ],
    [
      'a schedule without the role of its target',
      'services.1',
      { name: 'job', kind: 'schedule', schedule: 'invoices' },
      'environments.prod.services.1.role: ',
    ],
    [
      'a schedule by its ARN',
      'services.1',
      {
        ...{ name: 'job', kind: 'schedule', role: 'arn:aws:iam::222222222222:role/a' },
        schedule: 'arn:aws:scheduler:eu-west-1:222222222222:schedule/default/a',
      },
      'environments.prod.services.1.schedule: must be a name, not an ARN',
    ],
    [
      'a function by its name',
      'services.1',
      { name: 'job', kind: 'custom', function: 'stop-jobs' },
      'environments.prod.services.1.function: must be the ARN of a Lambda function',
    ],
    [
      'one schedule under two names',
      'services',
      ['a', 'b'].map((name) => ({
        ...{ name, kind: 'schedule', schedule: 'nightly', role: 'arn:aws:iam::222222222222:role/a' },
      })),
      'environments.prod.services.1: the schedule "nightly" of the group "default" is already in the list',
    ],
    [
      'one function under two names, because it has one saved state',
      'services',
      ['a', 'b'].map((name) => ({
        ...{ name, kind: 'custom', function: 'arn:aws:lambda:eu-west-1:222222222222:function:a' },
      })),
      'environments.prod.services.1: the function "arn:aws:lambda:eu-west-1:222222222222:function:a" is already in the list',
    ],
    [
      'one rule under two names',
      'services',
      [
        { name: 'a', kind: 'event-rule', rule: 'nightly' },
        { name: 'b', kind: 'event-rule', rule: 'nightly', eventBus: 'default' },
      ],
      'environments.prod.services.1: the rule "nightly" of the bus "default" is already in the list: remove one of the two entries',
    ],
    [
      'one mapping under two names',
      'services',
      ['a', 'b'].map((name) => ({
        ...{ name, kind: 'event-source-mapping', uuid: '0a1b2c3d-4e5f-4a7b-8c9d-0e1f2a3b4c5d' },
      })),
      'environments.prod.services.1: the mapping "0a1b2c3d-4e5f-4a7b-8c9d-0e1f2a3b4c5d" is already in the list',
    ],
    [
      'services of different kinds with one name',
      'services.1',
      { kind: 'event-rule', name: 'api', rule: 'nightly' },
      'environments.prod.services.1.name: must be unique, but another service is named "api" too',
    ],
    ['a window longer than a week', 'windowMinutes', 10_001, 'environments.prod.windowMinutes: '],
    [
      'an empty list of roles and one of patterns',
      'drain',
      { roles: [], applicationNames: [] },
      'environments.prod.drain: must have at least one entry in roles or applicationNames',
    ],
    ['a role without a name', 'drain', { roles: [''] }, 'environments.prod.drain.roles.0: '],
    ['a window of zero minutes', 'windowMinutes', 0, 'environments.prod.windowMinutes: '],
    ['a window as text', 'windowMinutes', '30 min', 'environments.prod.windowMinutes: '],
    ['an unknown policy of the window', 'window', 'sometimes', 'environments.prod.window: '],
    [
      'a drain without roles and patterns',
      'drain',
      { seconds: 30 },
      'environments.prod.drain: must have at least one entry in roles or applicationNames',
    ],
    [
      'an unknown field of drain',
      'drain',
      { roles: ['app'], minutes: 1 },
      'environments.prod.drain: unknown field minutes; valid fields: roles, applicationNames, seconds',
    ],
    [
      'a wait for sessions that is too long',
      'drain',
      { roles: ['app'], seconds: 3_601 },
      'environments.prod.drain.seconds: ',
    ],
    [
      'terminateBlockers without a time',
      'builds.terminateBlockers',
      {},
      'environments.prod.builds.terminateBlockers.idleInTransactionSeconds: ',
    ],
    ['a round without builds', 'builds.perRound', 0, 'environments.prod.builds.perRound: '],
    [
      'a wait for a build that is longer than its invocation',
      'builds.waitSeconds',
      181,
      'environments.prod.builds.waitSeconds: ',
    ],
    ['an email address', 'alerts.emails', ['on-call'], 'environments.prod.alerts.emails.0: '],
    ['a deadline', 'stopMinutes', 0, 'environments.prod.stopMinutes: '],
    ['a negative deadline', 'deploymentMinutes', -1, 'environments.prod.deploymentMinutes: '],
    ['a deadline of more than two hours', 'deploymentMinutes', 121, 'environments.prod.deploymentMinutes: '],
  ])('%s', (_what, path, value, message) => {
    expect(refusalOf(prodWith(path, value))).toContain(message);
  });

  test.each(['Prod', '1st', 'pre_prod', 'a-name-that-is-longer-than-31-characters'])(
    'the environment name %s',
    (name) => {
      expect(refusalOf({ [name]: prodInput() })).toContain(
        `environments.${name}: the name must consist of lower-case letters, digits and -, start with a letter`,
      );
    },
  );

  test('all wrong values at once', () => {
    const { prod } = prodWith('stopMinutes', 0);
    const refusal = refusalOf({ prod: { ...(prod as object), startMinutes: 0 } });

    expect(refusal).toContain('environments.prod.stopMinutes: ');
    expect(refusal).toContain('environments.prod.startMinutes: ');
  });
});

test('checks of sessions count towards the limit of checks as well', () => {
  const { prod } = prodWith('drain', { roles: ['app'], seconds: 3_600 });
  const services = [{ name: 'api', cluster: 'prod', service: 'api' }];
  const few = { ...(prod as object), services, deploymentMinutes: 0, stopMinutes: 1, startMinutes: 1 };

  expect(parseEnvironments({ prod: { ...few, pollSeconds: 3 } }).prod?.drain?.seconds).toBe(3_600);
  expect(refusalOf({ prod: { ...few, pollSeconds: 1 } })).toContain(
    'environments.prod.pollSeconds: too many checks for the history of one execution',
  );
});

test('checks of ECS deployments count towards the limit of checks as well, with pauses that are three times as long', () => {
  const services = Array.from({ length: 18 }, (_, n) => ({
    name: `s${n}`,
    cluster: 'prod',
    service: `s${n}`,
  }));
  const { prod } = prodWith('services', services);

  expect(parseEnvironments({ prod }).prod?.deploymentMinutes).toBe(15);
  expect(refusalOf({ prod: { ...(prod as object), deploymentMinutes: 18 } })).toContain(
    'increase pollSeconds, or decrease deploymentMinutes, stopMinutes',
  );
});

test('two rules with the same name on different buses are two services', () => {
  const services = [
    { kind: 'event-rule' as const, name: 'nightly', rule: 'nightly' },
    { kind: 'event-rule' as const, name: 'shop', rule: 'nightly', eventBus: 'shop' },
  ];
  const { prod } = parseEnvironments({ prod: { ...prodInput(), services } });

  expect(prod?.services).toEqual([{ ...services[0], eventBus: 'default' }, services[1]]);
});

test('optional fields have their defaults', () => {
  const { prod } = parseEnvironments({
    prod: {
      ...prodInput(),
      drain: { roles: ['app'] },
      services: [
        { name: 'api', cluster: 'prod', service: 'api' },
        { name: 'nightly', kind: 'event-rule', rule: 'nightly' },
      ],
    },
  });

  expect(prod?.drain).toEqual({ roles: ['app'], applicationNames: [], seconds: 60 });
  expect(prod?.windowMinutes).toBeUndefined();
  expect(prod?.services).toEqual([
    { kind: 'ecs', name: 'api', cluster: 'prod', service: 'api', scaling: false },
    { kind: 'event-rule', name: 'nightly', rule: 'nightly', eventBus: 'default' },
  ]);
});

test('the message for a cdk.json without environments says what to add', () => {
  expect(refusalOf(undefined)).toContain('cdk.json has no context "environments"');
});

test('a window that is never opened is refused where migrations need one', () => {
  const migrations = { runner: 'lambda' as const, function: 'migrate' };
  expect(() => parseEnvironments({ prod: { ...prodInput(), migrations, window: 'never' } })).toThrow(
    /environments\.prod\.window: must not be "never" with the runner ecs-task or lambda/,
  );
  expect(parseEnvironments({ prod: { ...prodInput(), window: 'never' } }).prod?.window).toBe('never');
  expect(parseEnvironments({ prod: prodInput() }).prod?.window).toBe('always');
});
