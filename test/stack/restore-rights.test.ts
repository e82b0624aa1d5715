import { afterAll, beforeAll, expect, test } from 'vitest';
import { iamMatches } from './support/iam-matcher.ts';
import { everyKindInput, type Synthesised, synthesise } from './support/synthesise.ts';
import { type Resource, resourcesOf, resourcesOfType, statementsIn } from './support/template-values.ts';

const SERVICES = everyKindInput().services ?? [];

let before: Synthesised;
let after: Synthesised;
let none: Synthesised;

beforeAll(async () => {
  const prod = everyKindInput();
  before = await synthesise({ prod });
  // Another order and other names, and two services are removed.
  const kept = SERVICES.slice(1, 4).toReversed();
  after = await synthesise({
    prod: { ...prod, services: kept.map((service) => ({ ...service, name: `${service.name}-2` })) },
  });
  none = await synthesise({ prod: { ...prod, services: [] } });
});
afterAll(() => {
  for (const synthesised of [before, after, none]) synthesised?.dispose();
});

type Policies = Record<string, Resource & { DeletionPolicy?: string; UpdateReplacePolicy?: string }>;

const policiesOf = (synthesised: Synthesised): Policies =>
  Object.fromEntries(resourcesOfType(synthesised.template('prod'), 'AWS::IAM::Policy'));

const isRetained = ([, { DeletionPolicy }]: [string, Policies[string]]) =>
  DeletionPolicy === 'RetainExceptOnCreate';

/** What the role may do after an update: CloudFormation keeps a retained policy on the role when it leaves the template. */
function allowedAfter(from: Synthesised, to: Synthesised): [string, string][] {
  const retained = Object.fromEntries(Object.entries(policiesOf(from)).filter(isRetained));
  const policies = { ...retained, ...policiesOf(to) };
  return statementsIn(from.template('prod'), policies).flatMap(({ Action: actions, Resource: resources }) =>
    actions.flatMap((action) => resources.map((resource): [string, string] => [action, resource])),
  );
}

const may = (allowed: [string, string][], action: string, resource: string) =>
  allowed.some(([one, on]) => one === action && iamMatches(on, resource));

const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:222222222222:${rest}`;
const RIGHTS: [string, string][] = [
  ['ecs:UpdateService', arn('ecs', 'service/prod/api')],
  ['ecs:UpdateService', arn('ecs', 'service/prod/worker')],
  ['events:EnableRule', arn('events', 'rule/nightly-import')],
  ['events:EnableRule', arn('events', 'rule/shop/order-placed')],
  [
    'lambda:UpdateEventSourceMapping',
    arn('lambda', 'event-source-mapping:0a1b2c3d-4e5f-4a7b-8c9d-0e1f2a3b4c5d'),
  ],
  ['application-autoscaling:RegisterScalableTarget', arn('application-autoscaling', 'scalable-target/x')],
  ['elasticloadbalancing:DescribeTargetHealth', '*'],
];

test('the role keeps the permissions to start services that an update removes from the configuration', () => {
  for (const to of [after, none]) {
    const allowed = allowedAfter(before, to);
    for (const [action, resource] of RIGHTS)
      expect([resource, may(allowed, action, resource)]).toEqual([resource, true]);
  }
});

test('the role has no permission for services that were never configured', () => {
  const allowed = allowedAfter(none, after);
  expect(may(allowed, 'ecs:UpdateService', arn('ecs', 'service/prod/worker'))).toBe(true);
  expect(may(allowed, 'ecs:UpdateService', arn('ecs', 'service/prod/api'))).toBe(false);
  expect(may(allowed, 'ecs:UpdateService', arn('ecs', 'service/prod/worker-2'))).toBe(false);
});

test('a service has the same policy whatever its name and its place in the list are', () => {
  const idsOf = (synthesised: Synthesised) =>
    Object.entries(policiesOf(synthesised))
      .filter(isRetained)
      .map(([id, { Properties: properties }]) => [id, properties.PolicyName]);

  expect(idsOf(before).length).toBeGreaterThan(SERVICES.length);
  expect(idsOf(before)).toEqual(expect.arrayContaining(idsOf(after)));
  expect(idsOf(none)).toEqual([]);
});

test('the role stays with its policies when the stack is deleted, because IAM deletes no role that has policies', () => {
  const retained = Object.values(policiesOf(before)).filter(
    ({ DeletionPolicy }) => DeletionPolicy !== undefined,
  );
  const roles = new Set(
    retained.flatMap(({ Properties: properties }) =>
      (properties.Roles as { Ref: string }[]).map(({ Ref }) => Ref),
    ),
  );
  expect(roles.size).toBe(1);
  for (const synthesised of [before, none]) {
    const role = resourcesOf(synthesised.template('prod'))[[...roles][0] ?? ''];
    expect(role).toMatchObject({ DeletionPolicy: 'RetainExceptOnCreate', UpdateReplacePolicy: 'Retain' });
  }
});

test('the state machine is created after the permissions of its role', () => {
  const [, machine] =
    resourcesOfType(before.template('prod'), 'AWS::StepFunctions::StateMachine').find(
      ([, { Properties: properties }]) =>
        properties.StateMachineName === 'pg-deploy-step-prod-start-services',
    ) ?? [];
  const retained = Object.entries(policiesOf(before)).filter(isRetained);
  expect((machine as { DependsOn?: string[] } | undefined)?.DependsOn).toEqual(
    expect.arrayContaining(retained.map(([id]) => id)),
  );
});
