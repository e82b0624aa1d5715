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
const ROLES = {
  task: 'arn:aws:iam::222222222222:role/shop-task',
  execution: 'arn:aws:iam::222222222222:role/shop-execution',
};
const RULE = { kind: 'event-rule' as const, name: 'nightly', rule: 'nightly-export' };
const BUS_RULE = { kind: 'event-rule' as const, name: 'orders', rule: 'orders-placed', eventBus: 'shop' };
const UUID = '11111111-2222-4333-8444-555555555555';
const MAPPING = { kind: 'event-source-mapping' as const, name: 'queue', uuid: UUID };
const ROLE = 'arn:aws:iam::222222222222:role/invoices';
const KEY = 'arn:aws:kms:eu-west-1:222222222222:key/11111111-2222-3333-4444-555555555555';
const SCHEDULE = {
  ...{ kind: 'schedule' as const, name: 'invoices', schedule: 'invoices', group: 'billing' },
  ...{ role: ROLE, key: KEY },
};
const FUNCTION = 'arn:aws:lambda:eu-west-1:222222222222:function:stop-batch:live';
const CUSTOM = { kind: 'custom' as const, name: 'batch', function: FUNCTION };

const ENVIRONMENTS = {
  ecs: { ...prodInput(), services: [ECS] },
  rules: { ...prodInput(), services: [RULE, BUS_RULE] },
  mappings: { ...prodInput(), services: [MAPPING] },
  schedules: { ...prodInput(), services: [SCHEDULE] },
  custom: { ...prodInput(), services: [CUSTOM] },
  all: {
    ...prodInput(),
    services: [ECS, RULE, BUS_RULE, MAPPING, SCHEDULE, CUSTOM],
    drain: { roles: ['app'] },
    windowMinutes: 30,
  },
  revisions: { ...prodInput(), services: [{ ...ECS, roles: ROLES }] },
  none: { ...prodInput(), services: [] },
};
type EnvironmentName = keyof typeof ENVIRONMENTS;
type Machine = 'maintenance-window' | 'start-services';
const KINDS = ['ecs', 'rules', 'mappings', 'schedules', 'custom'] as const;
const WITH_SERVICES = [...KINDS, 'all'] as const;

let synthesised: Synthesised;

beforeAll(async () => {
  synthesised = await synthesise(ENVIRONMENTS);
});
afterAll(() => synthesised?.dispose());

const machine = (environmentName: EnvironmentName, name: Machine): Definition =>
  definitionsOf(synthesised.template(environmentName), environmentName)[name];

const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:222222222222:${rest}`;

describe('the permissions of a state machine for services', () => {
  const OURS =
    /^(application-autoscaling|ecs|elasticloadbalancing|events|iam|kms|scheduler|ssm|lambda:(?!InvokeFunction on .*:pg-deploy-step-)|states:DescribeExecution)/;
  const CHILDREN = /StepFunctionsGetEvents|execution:pg-deploy-step-\w+-(build-indexes|start-services)/;

  function permissions(environmentName: EnvironmentName, name: Machine): string[] {
    const template = synthesised.template(environmentName);
    const found = resourcesOfType(template, 'AWS::StepFunctions::StateMachine').find(
      ([, { Properties: properties }]) =>
        properties.StateMachineName === `pg-deploy-step-${environmentName}-${name}`,
    );
    if (found === undefined) throw new Error(`The template has no state machine ${name}.`);
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
      'ecs:ListTasks on *',
      `ecs:DescribeTasks on ${arn('ecs', 'task/prod/*')}`,
      // IAM supports no resources for it.
      'application-autoscaling:DescribeScalableTargets on *',
      `application-autoscaling:RegisterScalableTarget on ${targets}`,
    ],
    rules: [rule, busRule].flatMap((name) => [
      `events:DescribeRule on ${name}`,
      `events:DisableRule on ${name}`,
    ]),
    mappings: [`lambda:GetEventSourceMapping on ${mapping}`, `lambda:UpdateEventSourceMapping on ${mapping}`],
    schedules: [
      ...['GetSchedule', 'UpdateSchedule'].map(
        (action) => `scheduler:${action} on ${arn('scheduler', 'schedule/billing/invoices')}`,
      ),
      `iam:PassRole on ${ROLE}`,
      ...['DescribeKey', 'GenerateDataKey', 'Decrypt'].map((action) => `kms:${action} on ${KEY}`),
    ],
    custom: [`lambda:InvokeFunction on ${FUNCTION}`],
  };
  const STARTING = {
    ecs: [
      ...STOPPING.ecs.filter((pair) => !/DescribeScalableTargets|Tasks on/.test(pair)),
      // It only reads, and IAM supports no resources for it.
      'elasticloadbalancing:DescribeTargetHealth on *',
    ],
    rules: STOPPING.rules.map((pair) => pair.replace('DisableRule', 'EnableRule')),
    mappings: STOPPING.mappings,
    schedules: STOPPING.schedules,
    custom: STOPPING.custom,
  };
  const NAMES = {
    ...{ ecs: ['api'], rules: ['nightly', 'orders'], mappings: ['queue'] },
    ...{ schedules: ['invoices'], custom: ['batch'] },
  };
  const CASES = [...KINDS.map((kind) => [kind, [kind]] as const), ['all', KINDS] as const];

  test.each(CASES)('cover the services of the environment %s and nothing else', (name, kinds) => {
    const parameter = (rest: string) => arn('ssm', `parameter/pg-deploy-step/${name}/${rest}`);
    const savedStates = kinds.flatMap((kind) => NAMES[kind].map((of) => parameter(`services/${of}`)));
    const on = (resources: string[], ...actions: string[]) =>
      resources.flatMap((resource) => actions.map((action) => `${action} on ${resource}`));

    expect(permissions(name, 'maintenance-window')).toEqual(
      [
        ...kinds.flatMap((kind) => STOPPING[kind]),
        ...on(savedStates, 'ssm:GetParameter', 'ssm:PutParameter'),
        // A service can have been stopped under another name.
        ...on([parameter('services/*')], 'ssm:GetParameter', 'ssm:DeleteParameter'),
        `ssm:GetParametersByPath on ${parameter('services')}`,
        // Of services that are left stopped or held, for a plan.
        `ssm:GetParameter on ${parameter('left-stopped')}`,
        `events:EnableRule on ${schedule(name)}`,
      ].sort(),
    );
    expect(permissions(name, 'start-services')).toEqual(
      [...kinds.flatMap((kind) => STARTING[kind]), ...onSavedStates(name)].sort(),
    );
  });

  const schedule = (name: string) => arn('events', `rule/pg-deploy-step-${name}-reconcile`);
  const onSavedStates = (name: string) => {
    const parameter = (rest: string) => arn('ssm', `parameter/pg-deploy-step/${name}/${rest}`);
    return [
      `ssm:GetParametersByPath on ${parameter('services')}`,
      ...['services/*', 'left-stopped', 'completed', 'incidents/*', 'recovery'].map(
        (rest) => `ssm:GetParameter on ${parameter(rest)}`,
      ),
      ...['services/*', 'left-stopped', 'incidents/*', 'recovery', 'recovery-failed'].map(
        (rest) => `ssm:DeleteParameter on ${parameter(rest)}`,
      ),
      // The marker names the start that ends a hold.
      ...['incidents/*', 'left-stopped', 'recovery', 'recovery-failed'].map(
        (rest) => `ssm:PutParameter on ${parameter(rest)}`,
      ),
      `events:EnableRule on ${schedule(name)}`,
      `events:DisableRule on ${schedule(name)}`,
      // Checks whether the deploy that stopped a service is still running.
      `states:DescribeExecution on ${arn('states', `execution:pg-deploy-step-${name}-deploy:*`)}`,
    ];
  };

  test('cover the revisions of a service with roles, and pass these roles to its tasks only', () => {
    const passing = Object.values(ROLES).map((role) => `iam:PassRole on ${role}`);
    const parameter = arn('ssm', 'parameter/pg-deploy-step/revisions/completed');

    expect(permissions('revisions', 'maintenance-window')).toEqual(
      expect.arrayContaining([
        // It only reads, and IAM supports no resources for it.
        'ecs:DescribeTaskDefinition on *',
        `ecs:UpdateService on ${service}`,
        `ssm:GetParameter on ${parameter}`,
        ...passing,
      ]),
    );
    expect(permissions('revisions', 'start-services')).toEqual(
      [...STARTING.ecs, ...onSavedStates('revisions'), ...passing].sort(),
    );
    const statements = statementsIn(synthesised.template('revisions')).filter(({ Action }) =>
      Action.includes('iam:PassRole'),
    );
    expect(statements.map(({ Condition }) => Condition)).toEqual(
      statements.map(() => ({ StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } })),
    );
    expect(statements).toHaveLength(2);
  });

  test('pass the role of a schedule to EventBridge Scheduler only, which alone uses its key', () => {
    const ofSchedule = statementsIn(synthesised.template('schedules')).filter(({ Action: actions }) =>
      actions.some((action) => /^(iam:PassRole|kms:DescribeKey)$/.test(action)),
    );

    expect(ofSchedule.map(({ Condition: condition }) => JSON.stringify(condition)).toSorted()).toEqual(
      [
        ...Array(2).fill({ StringEquals: { 'iam:PassedToService': 'scheduler.amazonaws.com' } }),
        ...Array(2).fill({ StringEquals: { 'kms:ViaService': 'scheduler.eu-west-1.amazonaws.com' } }),
      ]
        .map((condition) => JSON.stringify(condition))
        .toSorted(),
    );
  });

  test('are, without services, those to read saved states and no right on any service', () => {
    expect(permissions('none', 'maintenance-window')).toEqual([]);
    expect(permissions('none', 'start-services')).toEqual(onSavedStates('none').sort());
  });

  test('allow one role of the stack to list the executions of its deploy machine', () => {
    const listing = statementsIn(synthesised.template('all')).filter((statement) =>
      statement.Action.includes('states:ListExecutions'),
    );

    expect(listing.map((statement) => [statement.Effect, statement.Resource])).toEqual([
      ['Allow', [arn('states', 'stateMachine:pg-deploy-step-all-deploy')]],
    ]);
  });
});

describe.each(WITH_SERVICES)('with any data, a window of the environment %s', (environmentName) => {
  const window = () => machine(environmentName, 'maintenance-window');
  const changesWithout = (state: string) => changing(reachableWithout(window(), state));
  const STOPS = {
    ecs: ['Stop Tasks', 'Suspend Scaling'],
    rules: ['Disable Rule'],
    mappings: ['Disable Mapping'],
    schedules: ['Disable Schedule', 'Disable Schedule Without Past Start'],
    // A look only reads, but a function can do more.
    custom: ['Ask Function To Stop', 'Look At Stopping'],
  };
  const stops = environmentName === 'all' ? Object.values(STOPS).flat() : STOPS[environmentName];
  const SAVES = ['Save Earlier State', 'Save Service State'];
  const SCHEDULE = ['Enable Reconciler', 'Delete State Of Other Name'];
  const DATABASE = ['Build Indexes', 'Run Migrations'];
  // They only read, but a function can do more.
  const CHECKS = ['Check Migrations', ...(environmentName === 'all' ? ['Check Sessions'] : [])];

  test('has these states that change something', () => {
    expect(changing(statesOf(window()))).toEqual(
      [...stops, ...SAVES, ...SCHEDULE, ...DATABASE, ...CHECKS].sort(),
    );
  });

  test.each(['Check Services', 'All Services Can Be Stopped?'])(
    'changes nothing on a path without %s',
    (state) => {
      expect(changesWithout(state)).toEqual([]);
    },
  );

  test('changes nothing during the checks', () => {
    const inside = stateOf(window(), 'Check Services').ItemProcessor?.States ?? {};

    expect(Object.keys(inside)).toContain('Service Cannot Be Stopped');
    expect(changing(inside)).toEqual([]);
  });

  test.each(['Stop Services', 'All Services Stopped?'])(
    'does not change the database on a path without %s',
    (state) => {
      expect(changesWithout(state).filter((name) => DATABASE.includes(name))).toEqual([]);
    },
  );

  test('stops no service whose state it has not tried to save', () => {
    const withoutSaving = changesWithout('Save Services');
    expect(withoutSaving.filter((name) => [...stops, ...SAVES].includes(name))).toEqual([]);
    // Inside of the Map, each path of a service leads through the saving.
    const saving = stateOf(window(), 'Save Services').ItemProcessor;
    if (saving === undefined) throw new Error('Save Services is not a Map.');
    expect(Object.keys(reachableWithout(saving, 'Save Service State'))).toEqual(['Record Current State']);
  });
});

test('the tasks of services may be listed and described only in the clusters of the services', () => {
  const services = [ECS, { name: 'jobs', cluster: 'batch', service: 'jobs' }];
  return synthesise({ two: { ...prodInput(), services } }).then((two) => {
    try {
      const onTasks = statementsIn(two.template('two')).filter(({ Action: actions }) =>
        actions.some((action) => /^ecs:(List|Describe)Tasks$/.test(action)),
      );
      const statement = (action: string, resource: string, cluster: string) => [
        ...[action, resource],
        { ArnEquals: { 'ecs:cluster': arn('ecs', `cluster/${cluster}`) } },
      ];
      expect(
        onTasks.map(({ Action: actions, Resource: resources, Condition: condition }) => [
          ...actions,
          ...resources,
          condition,
        ]),
      ).toEqual(
        expect.arrayContaining(
          ['prod', 'batch'].flatMap((cluster) => [
            statement('ecs:ListTasks', '*', cluster),
            statement('ecs:DescribeTasks', arn('ecs', `task/${cluster}/*`), cluster),
          ]),
        ),
      );
    } finally {
      two.dispose();
    }
  });
});

describe('the search for paths', () => {
  test('finds a path around the check if there is one', () => {
    const window = structuredClone(machine('ecs', 'maintenance-window'));
    stateOf(window, 'Begin Window').Catch = [{ ErrorEquals: ['States.ALL'], Next: 'Run Migrations' }];

    expect(changing(reachableWithout(window, 'Check Services'))).toEqual([
      'Build Indexes',
      'Check Migrations',
      'Run Migrations',
    ]);
  });

  test('refuses to exclude a state that does not exist', () => {
    expect(() => reachableWithout(machine('ecs', 'maintenance-window'), 'Check Service')).toThrow(
      'The definition has no state "Check Service".',
    );
  });
});

test.each(['Check Sessions', 'Sessions Closed?', 'No Sessions Left'])(
  'with drain, the database is not changed on a path without %s',
  (state) => {
    const changes = changing(reachableWithout(machine('all', 'maintenance-window'), state));

    expect(changes).not.toContain('Run Migrations');
    expect(changes).not.toContain('Build Indexes');
  },
);

test.each(WITH_SERVICES)(
  'no service is started without a saved state in the environment %s',
  (environmentName) => {
    const start = machine(environmentName, 'start-services');

    expect(changing(reachableWithout(start, 'Read Saved State'))).toEqual([
      'Acquire Recovery Lock',
      'Alert',
      'Alert Of Failure',
      'Delete Hold Marker',
      'Delete Marker',
      'Delete Recorded Failure',
      'Disable Reconciler',
      'Enable Reconciler',
      'End Hold',
      'Record Incident',
      'Record Recovery Failure',
      'Release Recovery Lock',
      'Release Recovery Lock After Failure',
      'Run Recovery',
      'Take Over Recovery Lock',
    ]);
  },
);
