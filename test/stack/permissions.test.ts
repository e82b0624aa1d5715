import type { Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FUNCTIONS } from '../../lib/functions/bundle-functions.ts';
import { everyKindInput, prodInput, type Synthesised, synthesise } from './support/synthesise.ts';
import { permissionsOf, resourcesOf, resourcesOfType, statementsIn } from './support/template-values.ts';

let synthesised: Synthesised;
let template: Template;
/** With a service of each kind. */
let every: Template;

beforeAll(async () => {
  synthesised = await synthesise({
    prod: prodInput(),
    every: { ...everyKindInput(), drain: { roles: ['app'] } },
  });
  template = synthesised.template('prod');
  every = synthesised.template('every');
});
afterAll(() => synthesised?.dispose());

const arn = (service: string, rest: string) => `arn:aws:${service}:eu-west-1:222222222222:${rest}`;

/** Logs delivery and X-Ray know no resources: what every machine with logs and tracing has. */
const LOGS_AND_TRACES = [
  'logs:CreateLogDelivery on *',
  'logs:DeleteLogDelivery on *',
  'logs:DescribeLogGroups on *',
  'logs:DescribeResourcePolicies on *',
  'logs:GetLogDelivery on *',
  'logs:ListLogDeliveries on *',
  'logs:PutResourcePolicy on *',
  'logs:UpdateLogDelivery on *',
  'xray:GetSamplingRules on *',
  'xray:GetSamplingTargets on *',
  'xray:PutTelemetryRecords on *',
  'xray:PutTraceSegments on *',
];

const invoke = (task: string) =>
  `lambda:InvokeFunction on ${arn('lambda', `function:pg-deploy-step-prod-${task}:1`)}`;

const runChild = (machine: string) => [
  `states:StartExecution on ${arn('states', `stateMachine:pg-deploy-step-prod-${machine}`)}`,
  `states:DescribeExecution on ${arn('states', `execution:pg-deploy-step-prod-${machine}*`)}`,
  `states:StopExecution on ${arn('states', `execution:pg-deploy-step-prod-${machine}*`)}`,
];

/** How `.sync` hears of a child's end: the one rule that Step Functions keeps for it. */
const CHILD_EVENTS = ['events:DescribeRule', 'events:PutRule', 'events:PutTargets'].map(
  (action) => `${action} on ${arn('events', 'rule/StepFunctionsGetEventsForStepFunctionsExecutionRule')}`,
);

const onServices = (...actions: string[]) =>
  actions.flatMap((action) =>
    ['api', 'worker'].map((service) => `${action} on ${arn('ecs', `service/prod/${service}`)}`),
  );

const onParameters = (...actions: string[]) =>
  actions.flatMap((action) =>
    ['api', 'worker'].map(
      (service) => `${action} on ${arn('ssm', `parameter/pg-deploy-step/prod/services/${service}`)}`,
    ),
  );

const onMarker = (...actions: string[]) =>
  actions.map((action) => `${action} on ${arn('ssm', 'parameter/pg-deploy-step/prod/left-stopped')}`);

const ALERTS = `sns:Publish on ${arn('sns', 'pg-deploy-step-prod-alerts')}`;

/** A scalable target's ARN ends in an id that only its registration tells. */
const SCALING = `application-autoscaling:RegisterScalableTarget on ${arn('application-autoscaling', 'scalable-target/*')}`;

/** Logical id of the role of the resource that has this fixed name. */
function roleOf(type: string, property: 'Role' | 'RoleArn', name: string, of = template): string {
  for (const [, { Properties: properties }] of resourcesOfType(of, type)) {
    if (properties.FunctionName !== name && properties.StateMachineName !== name) continue;
    return (properties[property] as { 'Fn::GetAtt': [string, string] })['Fn::GetAtt'][0];
  }
  throw new Error(`No ${type} has the name ${name}.`);
}

test.each([
  [
    'deploy',
    [
      invoke('preflight'),
      invoke('report'),
      ...runChild('maintenance-window'),
      ...runChild('start-services'),
      ...runChild('build-indexes'),
      ...CHILD_EVENTS,
      ALERTS,
      ...onMarker('ssm:PutParameter'),
    ],
  ],
  [
    'maintenance-window',
    [
      invoke('run-migrations'),
      ...runChild('build-indexes'),
      ...CHILD_EVENTS,
      ...onServices('ecs:DescribeServices', 'ecs:UpdateService'),
      ...onParameters('ssm:GetParameter', 'ssm:PutParameter'),
      SCALING,
      // Looks only, and IAM knows no resources of it.
      'application-autoscaling:DescribeScalableTargets on *',
    ],
  ],
  ['build-indexes', ['plan-builds', 'build-index', 'check-index', 'settle-index'].map(invoke)],
  [
    'start-services',
    [
      ...onServices('ecs:DescribeServices', 'ecs:UpdateService'),
      ...onParameters('ssm:GetParameter', 'ssm:DeleteParameter'),
      ...onMarker('ssm:GetParameter', 'ssm:DeleteParameter'),
      `states:DescribeExecution on ${arn('states', 'execution:pg-deploy-step-prod-deploy:*')}`,
      SCALING,
      ALERTS,
    ],
  ],
])('the machine %s may do this and nothing else', (name, expected) => {
  const role = roleOf('AWS::StepFunctions::StateMachine', 'RoleArn', `pg-deploy-step-prod-${name}`);

  expect(permissionsOf(template, role)).toEqual([...expected, ...LOGS_AND_TRACES].sort());
});

test.each([
  [
    'maintenance-window',
    ['events:DescribeRule', 'events:DisableRule'],
    ['lambda:GetEventSourceMapping', 'lambda:UpdateEventSourceMapping'],
  ],
  [
    'start-services',
    ['events:DescribeRule', 'events:EnableRule'],
    ['lambda:GetEventSourceMapping', 'lambda:UpdateEventSourceMapping'],
  ],
])(
  'the machine %s may switch the configured rules and mappings and no others',
  (name, onRules, onMappings) => {
    const role = roleOf('AWS::StepFunctions::StateMachine', 'RoleArn', `pg-deploy-step-every-${name}`, every);
    const rules = ['rule/nightly-import', 'rule/shop/order-placed'].map((rule) => arn('events', rule));
    const mapping = arn('lambda', 'event-source-mapping:0a1b2c3d-4e5f-4a7b-8c9d-0e1f2a3b4c5d');

    expect(
      permissionsOf(every, role).filter(
        (permission) => /^events:|EventSourceMapping/.test(permission) && !CHILD_EVENTS.includes(permission),
      ),
    ).toEqual(
      [
        ...onRules.flatMap((action) => rules.map((rule) => `${action} on ${rule}`)),
        ...onMappings.map((action) => `${action} on ${mapping}`),
      ].sort(),
    );
  },
);

test('an environment without rules, mappings and scaling has no right to any', async () => {
  const plain = await synthesise({
    prod: { ...prodInput(), services: [{ name: 'nightly', kind: 'event-rule', rule: 'nightly' }] },
  });
  try {
    const actions = statementsIn(plain.template('prod')).flatMap((statement) => statement.Action);
    expect(actions).toContain('events:DisableRule');
    expect(
      actions.filter((action) => /^ecs:|^application-autoscaling:|EventSourceMapping/.test(action)),
    ).toEqual([]);
  } finally {
    plain.dispose();
  }
});

test('the IAM prefixes are those of IAM, not the names that the integrations have', () => {
  const prefixes = statementsIn(every).flatMap((statement) =>
    statement.Action.map((action) => action.split(':')[0]),
  );

  expect([...new Set(prefixes)].sort()).toEqual([
    'application-autoscaling',
    'ecs',
    'events',
    'kms',
    'lambda',
    'logs',
    'secretsmanager',
    'sns',
    'ssm',
    'states',
    'sts',
    'xray',
  ]);
});

test('a function may read the secret that is configured, decrypt it, and send traces; preflight may list the deploys', () => {
  const secret = arn('secretsmanager', 'secret:prod/postgres-AbCdEf');
  const key = arn('kms', 'key/11111111-2222-3333-4444-555555555555');

  const LIST_DEPLOYS = `states:ListExecutions on ${arn('states', 'stateMachine:pg-deploy-step-prod-deploy')}`;

  for (const task of FUNCTIONS) {
    const role = roleOf('AWS::Lambda::Function', 'Role', `pg-deploy-step-prod-${task}`);
    expect(permissionsOf(template, role)).toEqual([
      `kms:Decrypt on ${key}`,
      `secretsmanager:DescribeSecret on ${secret}`,
      `secretsmanager:GetSecretValue on ${secret}`,
      ...(task === 'preflight' ? [LIST_DEPLOYS] : []),
      'xray:PutTelemetryRecords on *',
      'xray:PutTraceSegments on *',
    ]);
  }
  for (const { Condition: condition } of statementsIn(template).filter(({ Action: actions }) =>
    actions.includes('kms:Decrypt'),
  )) {
    expect(condition).toEqual({
      StringEquals: { 'kms:ViaService': 'secretsmanager.eu-west-1.amazonaws.com' },
    });
  }
});

test('the roles have no other managed policies than those that a function in a VPC needs', () => {
  const managed = resourcesOfType(template, 'AWS::IAM::Role').flatMap(
    ([, role]) => (role.Properties.ManagedPolicyArns as unknown[] | undefined) ?? [],
  );

  expect(new Set(managed.map((policy) => JSON.stringify(policy).match(/policy\/[\w/-]+/)?.[0]))).toEqual(
    new Set([
      'policy/service-role/AWSLambdaBasicExecutionRole',
      'policy/service-role/AWSLambdaVPCAccessExecutionRole',
    ]),
  );
});

test('no policy of the template has a wildcard action', () => {
  const actions = statementsIn(template).flatMap((statement) => statement.Action);

  expect(actions.length).toBeGreaterThan(50);
  expect(actions.filter((action) => action.includes('*'))).toEqual([]);
  expect(JSON.stringify(resourcesOf(template))).not.toContain('NotAction');
});

test('a machine can be taken on by Step Functions on behalf of this account only', () => {
  const trust = statementsIn(template).filter(
    (statement) =>
      (statement.Principal as { Service?: string } | undefined)?.Service === 'states.amazonaws.com',
  );

  expect(trust).toHaveLength(4);
  for (const statement of trust) {
    expect(statement.Condition).toMatchObject({ StringEquals: { 'aws:SourceAccount': '222222222222' } });
  }
});
