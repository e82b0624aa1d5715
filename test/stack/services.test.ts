import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  changing,
  type Definition,
  definitionsOf,
  reachableWithout,
  stateOf,
  statesOf,
} from './support/definitions.ts';
import { prodInput, type Synthesised, synthesise } from './support/synthesise.ts';
import { permissionsOf, resourcesOfType, statementsIn } from './support/template-values.ts';

const ECS = { name: 'api', cluster: 'prod', service: 'api', scaling: true };
const RULE = { kind: 'event-rule' as const, name: 'nightly', rule: 'nightly-export' };
const BUS_RULE = { kind: 'event-rule' as const, name: 'orders', rule: 'orders-placed', eventBus: 'shop' };
const UUID = '11111111-2222-4333-8444-555555555555';
const MAPPING = { kind: 'event-source-mapping' as const, name: 'queue', uuid: UUID };

const ENVIRONMENTS = {
  ecs: { ...prodInput(), services: [ECS] },
  rules: { ...prodInput(), services: [RULE, BUS_RULE] },
  mappings: { ...prodInput(), services: [MAPPING] },
  all: {
    ...prodInput(),
    services: [ECS, RULE, BUS_RULE, MAPPING],
    drain: { roles: ['app'] },
    windowMinutes: 30,
  },
  none: { ...prodInput(), services: [] },
};
type EnvironmentName = keyof typeof ENVIRONMENTS;
type Machine = 'maintenance-window' | 'start-services';
const KINDS = ['ecs', 'rules', 'mappings'] as const;
const WITH_SERVICES = [...KINDS, 'all'] as const;

let synthesised: Synthesised;

beforeAll(async () => {
  synthesised = await synthesise(ENVIRONMENTS);
});
afterAll(() => synthesised?.dispose());

const machine = (environmentName: EnvironmentName, name: Machine): Definition =>
  definitionsOf(synthesised.template(environmentName), environmentName)[name];

const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:222222222222:${rest}`;

describe('what a machine may do to services', () => {
  const OURS = /^(application-autoscaling|ecs|events|ssm|lambda:(?!InvokeFunction)|states:DescribeExecution)/;
  const CHILDREN = /StepFunctionsGetEvents|execution:pg-deploy-step-\w+-build-indexes/;

  function permissions(environmentName: EnvironmentName, name: Machine): string[] {
    const template = synthesised.template(environmentName);
    const found = resourcesOfType(template, 'AWS::StepFunctions::StateMachine').find(
      ([, { Properties: properties }]) =>
        properties.StateMachineName === `pg-deploy-step-${environmentName}-${name}`,
    );
    if (found === undefined) throw new Error(`No machine ${name}.`);
    const role = found[1].Properties.RoleArn as { 'Fn::GetAtt': [string, string] };
    return permissionsOf(template, role['Fn::GetAtt'][0]).filter(
      (pair) => OURS.test(pair) && !CHILDREN.test(pair),
    );
  }

  const rule = arn('events', 'rule/nightly-export');
  const busRule = arn('events', 'rule/shop/orders-placed');
  const mapping = arn('lambda', `event-source-mapping:${UUID}`);
  const service = arn('ecs', 'service/prod/api');
  const targets = arn('application-autoscaling', 'scalable-target/*');

  const STOPPING = {
    ecs: [
      `ecs:DescribeServices on ${service}`,
      `ecs:UpdateService on ${service}`,
      // It knows no resources.
      'application-autoscaling:DescribeScalableTargets on *',
      `application-autoscaling:RegisterScalableTarget on ${targets}`,
    ],
    rules: [rule, busRule].flatMap((name) => [
      `events:DescribeRule on ${name}`,
      `events:DisableRule on ${name}`,
    ]),
    mappings: [`lambda:GetEventSourceMapping on ${mapping}`, `lambda:UpdateEventSourceMapping on ${mapping}`],
  };
  const STARTING = {
    ecs: STOPPING.ecs.filter((pair) => !pair.includes('DescribeScalableTargets')),
    rules: STOPPING.rules.map((pair) => pair.replace('DisableRule', 'EnableRule')),
    mappings: STOPPING.mappings,
  };
  const NAMES = { ecs: ['api'], rules: ['nightly', 'orders'], mappings: ['queue'] };
  const CASES = [...KINDS.map((kind) => [kind, [kind]] as const), ['all', KINDS] as const];

  test.each(CASES)(
    'follows from the services of the environment %s, and from nothing else',
    (name, kinds) => {
      const parameter = (rest: string) => arn('ssm', `parameter/pg-deploy-step/${name}/${rest}`);
      const memories = kinds.flatMap((kind) => NAMES[kind].map((of) => parameter(`services/${of}`)));
      const on = (resources: string[], ...actions: string[]) =>
        resources.flatMap((resource) => actions.map((action) => `${action} on ${resource}`));

      expect(permissions(name, 'maintenance-window')).toEqual(
        [
          ...kinds.flatMap((kind) => STOPPING[kind]),
          ...on(memories, 'ssm:GetParameter', 'ssm:PutParameter'),
        ].sort(),
      );
      expect(permissions(name, 'start-services')).toEqual(
        [
          ...kinds.flatMap((kind) => STARTING[kind]),
          ...on([...memories, parameter('left-stopped')], 'ssm:GetParameter', 'ssm:DeleteParameter'),
          // Whether the deploy that stopped a service still runs; of no other machine's executions.
          `states:DescribeExecution on ${arn('states', `execution:pg-deploy-step-${name}-deploy:*`)}`,
        ].sort(),
      );
    },
  );

  test('is nothing without services, and nobody may write a parameter then', () => {
    expect(permissions('none', 'maintenance-window')).toEqual([]);
    expect(permissions('none', 'start-services')).toEqual([]);
    const actions = statementsIn(synthesised.template('none')).flatMap((statement) => statement.Action);
    expect(actions.filter((action) => action.startsWith('ssm:'))).toEqual([]);
  });

  test('executions are listed by one role of the stack, and only those of its own deploy machine', () => {
    const listing = statementsIn(synthesised.template('all')).filter((statement) =>
      statement.Action.includes('states:ListExecutions'),
    );

    expect(listing.map((statement) => [statement.Effect, statement.Resource])).toEqual([
      ['Allow', [arn('states', 'stateMachine:pg-deploy-step-all-deploy')]],
    ]);
  });
});

describe.each(WITH_SERVICES)('whatever its data, a window of the environment %s', (environmentName) => {
  const window = () => machine(environmentName, 'maintenance-window');
  const changesWithout = (state: string) => changing(reachableWithout(window(), state));
  const STOPS = {
    ecs: ['Stop Tasks', 'Suspend Scaling'],
    rules: ['Disable Rule'],
    mappings: ['Disable Mapping'],
  };
  const stops = environmentName === 'all' ? Object.values(STOPS).flat() : STOPS[environmentName];
  const MEMORIES = ['Save Earlier State', 'Save Service State'];
  const DATABASE = ['Build Indexes', 'Run Migrations'];
  const LOOKS = environmentName === 'all' ? ['Check Sessions'] : [];

  test('can change these things', () => {
    expect(changing(statesOf(window()))).toEqual([...stops, ...MEMORIES, ...DATABASE, ...LOOKS].sort());
  });

  test.each(['Check Services', 'All Services Can Be Stopped?'])(
    'changes none of them without passing %s',
    (state) => {
      expect(changesWithout(state)).toEqual([]);
    },
  );

  test('changes nothing while it checks', () => {
    const inside = stateOf(window(), 'Check Services').ItemProcessor?.States ?? {};

    expect(Object.keys(inside)).toContain('Service Cannot Be Stopped');
    expect(changing(inside)).toEqual([]);
  });

  test.each(['Stop Services', 'All Services Stopped?'])(
    'leaves the database alone without passing %s',
    (state) => {
      expect(changesWithout(state).filter((name) => DATABASE.includes(name))).toEqual([]);
    },
  );

  test('stops nothing that it has not tried to remember', () => {
    const withoutMemory = changesWithout('Save Service State');

    expect(withoutMemory.filter((name) => [...stops, ...MEMORIES].includes(name))).toEqual([]);
  });
});

describe('the walk that proves it', () => {
  test('finds a way around the check where there is one', () => {
    const window = structuredClone(machine('ecs', 'maintenance-window'));
    stateOf(window, 'Begin Window').Catch = [{ ErrorEquals: ['States.ALL'], Next: 'Run Migrations' }];

    expect(changing(reachableWithout(window, 'Check Services'))).toEqual(['Build Indexes', 'Run Migrations']);
  });

  test('refuses to leave out a state that there is not', () => {
    expect(() => reachableWithout(machine('ecs', 'maintenance-window'), 'Check Service')).toThrow(
      'No state "Check Service" to leave out.',
    );
  });
});

test.each(['Check Sessions', 'Sessions Closed?', 'No Sessions Left'])(
  'the database is left alone without passing %s where sessions have to be gone',
  (state) => {
    const changes = changing(reachableWithout(machine('all', 'maintenance-window'), state));

    expect(changes).not.toContain('Run Migrations');
    expect(changes).not.toContain('Build Indexes');
  },
);

test.each(WITH_SERVICES)('nothing is started without its memory in the environment %s', (environmentName) => {
  const start = machine(environmentName, 'start-services');

  expect(changing(reachableWithout(start, 'Read Saved State'))).toEqual(['Alert', 'Delete Marker']);
});
