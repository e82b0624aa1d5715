import { describe, expect, test } from 'vitest';
import { ConfigurationError, parseEnvironments } from '../../lib/config/load-environments.ts';
import { prodInput } from './support/synthesise.ts';

/** A copy of the example environment `prod` with one value put in at a path, or taken out where it is undefined. */
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
  });
  expect(prod).toMatchObject({ onMigrationFailure: 'start', onCriticalFailure: 'leave-stopped' });
});

describe('a wrong value is refused with its path', () => {
  test.each([
    [
      'looks that do not fit into one execution',
      'pollSeconds',
      1,
      'environments.prod.pollSeconds: so many looks at so many services do not fit',
    ],
    ['an unknown field', 'colour', 'blue', 'environments.prod: unknown field colour'],
    [
      'an unknown field further down',
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
    ['a secret by its name', 'database.secretArn', 'prod/postgres', 'environments.prod.database.secretArn: '],
    ['a port', 'database.port', 70_000, 'environments.prod.database.port: '],
    ['a VPC by its name', 'network.vpcId', 'my-vpc', 'environments.prod.network.vpcId: '],
    ['a subnet', 'network.subnetIds.1', 'sn-1', 'environments.prod.network.subnetIds.1: '],
    ['no security group', 'network.securityGroupIds', [], 'environments.prod.network.securityGroupIds: '],
    [
      'fewer zones than subnets',
      'network.availabilityZones',
      ['eu-west-1a'],
      'environments.prod.network.availabilityZones: must name the zone of each subnet',
    ],
    [
      'a lock timeout too short to evict autovacuum',
      'builds.lockTimeoutSeconds',
      1,
      'environments.prod.builds.lockTimeoutSeconds: at least 3',
    ],
    [
      'a lock timeout longer than an invocation',
      'builds.lockTimeoutSeconds',
      601,
      'environments.prod.builds.lockTimeoutSeconds: at most 600',
    ],
    ['no concurrency', 'builds.maxConcurrent', 0, 'environments.prod.builds.maxConcurrent: '],
    [
      'a word that is not in a list',
      'builds.when',
      'later',
      'environments.prod.builds.when: must be one of before-start, after-start',
    ],
    [
      'another such word',
      'onCriticalFailure',
      'ignore',
      'environments.prod.onCriticalFailure: must be one of leave-stopped, start',
    ],
    ['an account', 'account', '1234', 'environments.prod.account: twelve digits'],
    ['a service name', 'services.0.name', 'my api', 'environments.prod.services.0.name: letters, digits'],
    [
      'two services of one name',
      'services.1.name',
      'api',
      'environments.prod.services.1.name: "api" is the name of another service too',
    ],
    [
      'one ECS service under two names',
      'services.1.service',
      'api',
      'environments.prod.services.1.service: "api" of the cluster "prod" is listed before',
    ],
    ['an address', 'alerts.emails', ['on-call'], 'environments.prod.alerts.emails.0: '],
    ['a deadline', 'stopMinutes', 0, 'environments.prod.stopMinutes: '],
  ])('%s', (_what, path, value, message) => {
    expect(refusalOf(prodWith(path, value))).toContain(message);
  });

  test.each(['Prod', '1st', 'pre_prod', 'a-name-that-is-longer-than-31-characters'])(
    'the environment name %s',
    (name) => {
      expect(refusalOf({ [name]: prodInput() })).toContain(
        `environments.${name}: an environment's name has lower-case letters, digits and -, starting with a letter`,
      );
    },
  );

  test('every wrong value at once', () => {
    const { prod } = prodWith('stopMinutes', 0);
    const refusal = refusalOf({ prod: { ...(prod as object), startMinutes: 0 } });

    expect(refusal).toContain('environments.prod.stopMinutes: ');
    expect(refusal).toContain('environments.prod.startMinutes: ');
  });
});

test('a cdk.json without environments says what to add', () => {
  expect(refusalOf(undefined)).toContain('cdk.json has no context "environments"');
});
