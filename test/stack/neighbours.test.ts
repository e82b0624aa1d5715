import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EnvironmentInput } from '../../lib/config/environment-config.ts';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';
import { MACHINES } from './support/definitions.ts';
import { conditionAllows, forcedWildcardOf } from './support/forced-wildcards.ts';
import { hasWildcard, iamMatches, permissionsIn } from './support/iam-matcher.ts';
import { ACCOUNT, ecsTaskInput, REGION, type Synthesised, synthesise } from './support/synthesise.ts';
import { resolveValue, resourcesOfType } from './support/template-values.ts';

/*
 * Several environments in one account, whose names are prefixes of each other or end like the name of a state machine.
 * No role of one environment may do anything with a resource of another one.
 */
const NAMES = ['pro', 'prod', 'prod2', 'production', 'prod-build-indexes', 'prod-deploy', 'prod-start'];

const arn = (service: string, rest: string) => `arn:aws:${service}:${REGION}:${ACCOUNT}:${rest}`;

const clusterOf = (name: string) => arn('ecs', `cluster/${name}`);
const secretOf = (name: string) => arn('secretsmanager', `secret:${name}-AbCdEf`);
const keyOf = (name: string) =>
  arn('kms', `key/00000000-0000-4000-8000-${String(NAMES.indexOf(name)).padStart(12, '0')}`);
const mappingOf = (name: string) =>
  `00000000-0000-4000-9000-${String(NAMES.indexOf(name)).padStart(12, '0')}`;

/** An environment that uses every kind of resource, all of them named after the environment. */
function environmentOf(name: string): EnvironmentInput {
  return {
    ...ecsTaskInput(),
    database: { secretArn: secretOf(name), secretKeyArn: keyOf(name) },
    services: [
      { name: 'api', cluster: name, service: 'api', scaling: true },
      { name: 'nightly', kind: 'event-rule', rule: `${name}-nightly` },
      { name: 'queue', kind: 'event-source-mapping', uuid: mappingOf(name) },
    ],
    migrations: {
      runner: 'ecs-task',
      ...{ cluster: name, taskDefinition: `${name}-migrate`, container: 'migrate' },
      network: { subnetIds: ['subnet-a'], securityGroupIds: ['sg-a'] },
      roles: {
        task: `arn:aws:iam::${ACCOUNT}:role/${name}-task`,
        execution: `arn:aws:iam::${ACCOUNT}:role/${name}-execution`,
      },
    },
  };
}

/** The ARNs of everything that an environment owns or uses. */
function resourcesOf(name: string): string[] {
  const machines = MACHINES.map((machine) => `pg-deploy-step-${name}-${machine}`);
  const functions = FUNCTIONS.map((fn) => `pg-deploy-step-${name}-${fn}`);
  return [
    ...machines.flatMap((machine) => [
      arn('states', `stateMachine:${machine}`),
      arn('states', `execution:${machine}:pipeline-1`),
      arn('logs', `log-group:/aws/vendedlogs/states/${machine}`),
      arn('logs', `log-group:/aws/vendedlogs/states/${machine}:log-stream:1`),
    ]),
    ...functions.flatMap((fn) => [
      arn('lambda', `function:${fn}`),
      arn('lambda', `function:${fn}:1`),
      arn('logs', `log-group:/aws/lambda/${fn}`),
      arn('logs', `log-group:/aws/lambda/${fn}:log-stream:1`),
    ]),
    arn('sns', `pg-deploy-step-${name}-alerts`),
    ...['recovery', 'reconcile', 'stack-updated'].map((rule) =>
      arn('events', `rule/pg-deploy-step-${name}-${rule}`),
    ),
    arn('events', `rule/${name}-nightly`),
    arn('lambda', `event-source-mapping:${mappingOf(name)}`),
    ...['services/api', 'services/nightly', 'left-stopped', 'anything'].map((parameter) =>
      arn('ssm', `parameter/pg-deploy-step/${name}/${parameter}`),
    ),
    arn('ecs', `service/${name}/api`),
    clusterOf(name),
    arn('ecs', `task/${name}/0123456789abcdef`),
    arn('ecs', `task-definition/${name}-migrate:7`),
    secretOf(name),
    keyOf(name),
    `arn:aws:iam::${ACCOUNT}:role/${name}-task`,
    `arn:aws:iam::${ACCOUNT}:role/${name}-execution`,
  ];
}

let synthesised: Synthesised;

beforeAll(async () => {
  synthesised = await synthesise(Object.fromEntries(NAMES.map((name) => [name, environmentOf(name)])));
});
afterAll(() => synthesised?.dispose());

test.each(NAMES)('no role of the environment %s may act on a resource of another environment', (name) => {
  const names = {
    environment: name,
    cluster: name,
    family: `${name}-migrate`,
    machines: MACHINES,
    functions: FUNCTIONS,
  };
  const permissions = permissionsIn(synthesised.template(name)).filter((permission) => {
    const forced = hasWildcard(permission) ? forcedWildcardOf(permission, names) : undefined;
    return forced?.reach !== 'account';
  });
  const crossings = NAMES.filter((other) => other !== name).flatMap((other) =>
    resourcesOf(other).flatMap((resource) =>
      permissions
        .filter((permission) => iamMatches(permission.resource, resource))
        .filter(({ condition }) => conditionAllows(condition, clusterOf(other)))
        .map((permission) => `${permission.action} on ${permission.resource} covers ${resource}`),
    ),
  );

  expect(permissions.length).toBeGreaterThan(40);
  expect(crossings).toEqual([]);
});

test.each(NAMES)('the roles of the environment %s may act on its own resources', (name) => {
  const permissions = permissionsIn(synthesised.template(name));
  const untouched = resourcesOf(name).filter(
    (resource) => !permissions.some((permission) => iamMatches(permission.resource, resource)),
  );

  // Otherwise the test above could not find anything, because its ARNs would be none of the stack's.
  expect(permissions.filter((permission) => hasWildcard(permission)).length).toBeGreaterThan(20);
  for (const resource of [
    arn('states', `execution:pg-deploy-step-${name}-build-indexes:pipeline-1`),
    arn('logs', `log-group:/aws/lambda/pg-deploy-step-${name}-report:log-stream:1`),
    arn('ecs', `task/${name}/0123456789abcdef`),
    arn('ecs', `task-definition/${name}-migrate:7`),
    arn('ssm', `parameter/pg-deploy-step/${name}/services/api`),
    arn('events', `rule/${name}-nightly`),
    secretOf(name),
  ]) {
    expect(untouched).not.toContain(resource);
  }
});

test('the recovery of an environment reacts only to its own deploys and its own stack', () => {
  for (const name of NAMES) {
    const template = synthesised.template(name);
    const patterns = resourcesOfType(template, 'AWS::Events::Rule')
      .map(([, rule]) => rule.Properties.EventPattern)
      .filter((pattern) => pattern !== undefined)
      .map((pattern) => resolveValue(template, pattern) as { detail: Record<string, unknown[]> });
    // A text in a pattern matches exactly. A prefix or a wildcard would be an object.
    expect(patterns.map(({ detail }) => detail.stateMachineArn ?? detail['stack-id'])).toEqual([
      [arn('states', `stateMachine:pg-deploy-step-${name}-deploy`)],
      [arn('cloudformation', 'stack/this-stack')],
    ]);
  }
});

const PHYSICAL_NAMES = new Set(['StateMachineName', 'FunctionName', 'LogGroupName', 'TopicName', 'Name']);

test('no two environments share the name of a resource', () => {
  const physicalNames = NAMES.flatMap((name) =>
    Object.values(
      synthesised.template(name).toJSON().Resources as Record<string, { Type: string; Properties?: object }>,
    ).flatMap(({ Type: type, Properties: properties = {} }) =>
      Object.entries(properties)
        .filter(([key, value]) => PHYSICAL_NAMES.has(key) && typeof value === 'string')
        .map(([, value]) => `${type} ${String(value)}`),
    ),
  );

  expect(physicalNames.length).toBeGreaterThan(NAMES.length * 20);
  expect(new Set(physicalNames).size).toBe(physicalNames.length);
});
