import type { Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';
import {
  ecsTaskInput,
  everyKindInput,
  lambdaInput,
  prodInput,
  type Synthesised,
  synthesise,
} from './support/synthesise.ts';
import { permissionsOf, resourcesOf, resourcesOfType, statementsIn } from './support/template-values.ts';

let synthesised: Synthesised;
let template: Template;
/** The template of an environment with a service of each kind. */
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

/** Permissions of every state machine for logs and traces. IAM supports no resources for these actions. */
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

/** All versions, because a running execution invokes the ones with which it started. */
const invoke = (name: string) =>
  ['', ':*'].map(
    (versions) =>
      `lambda:InvokeFunction on ${arn('lambda', `function:pg-deploy-step-prod-${name}${versions}`)}`,
  );

const runChild = (machine: string) => [
  `states:StartExecution on ${arn('states', `stateMachine:pg-deploy-step-prod-${machine}`)}`,
  `states:DescribeExecution on ${arn('states', `execution:pg-deploy-step-prod-${machine}:*`)}`,
  `states:StopExecution on ${arn('states', `execution:pg-deploy-step-prod-${machine}:*`)}`,
];

/** Step Functions uses this one rule to wait for the end of a child execution (`.sync`). */
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

const onParameter = (name: string, ...actions: string[]) =>
  actions.map((action) => `${action} on ${arn('ssm', `parameter/pg-deploy-step/prod/${name}`)}`);

/** The schedule of the recovery, which is enabled only while a state is saved. */
const SCHEDULE = arn('events', 'rule/pg-deploy-step-prod-reconcile');

const onMarker = (...actions: string[]) =>
  actions.map((action) => `${action} on ${arn('ssm', 'parameter/pg-deploy-step/prod/left-stopped')}`);

const LOCK = arn('ssm', 'parameter/pg-deploy-step/prod/deploy-lock');

const ALERTS = `sns:Publish on ${arn('sns', 'pg-deploy-step-prod-alerts')}`;

/** The ARN of a scalable target ends in an id that is unknown at synth. */
const SCALING = `application-autoscaling:RegisterScalableTarget on ${arn('application-autoscaling', 'scalable-target/*')}`;

/** Logical id of the role of a function or state machine. */
function roleOf(type: string, property: 'Role' | 'RoleArn', name: string, of = template): string {
  for (const [, { Properties: properties }] of resourcesOfType(of, type)) {
    if (properties.FunctionName !== name && properties.StateMachineName !== name) continue;
    return (properties[property] as { 'Fn::GetAtt': [string, string] })['Fn::GetAtt'][0];
  }
  throw new Error(`The template has no ${type} with the name ${name}.`);
}

test.each([
  [
    'deploy',
    [
      ...invoke('preflight'),
      ...invoke('report'),
      ...runChild('maintenance-window'),
      ...runChild('start-services'),
      ...runChild('build-indexes'),
      ...CHILD_EVENTS,
      ALERTS,
      ...onMarker('ssm:PutParameter'),
      // The services that an earlier deploy has left stopped, for a hold.
      ...onParameter('services', 'ssm:GetParametersByPath'),
      `ssm:GetParameter on ${LOCK}`,
      `ssm:PutParameter on ${LOCK}`,
      // Of the execution that holds the lock.
      `states:DescribeExecution on ${arn('states', 'execution:pg-deploy-step-prod-deploy:*')}`,
    ],
  ],
  [
    'maintenance-window',
    [
      ...invoke('run-migrations'),
      ...invoke('check-migrations'),
      // Not configured here: an execution that started with an earlier configuration may still invoke it.
      ...invoke('check-sessions'),
      ...runChild('build-indexes'),
      ...CHILD_EVENTS,
      ...onServices('ecs:DescribeServices', 'ecs:UpdateService'),
      // With a condition on the cluster.
      'ecs:ListTasks on *',
      `ecs:DescribeTasks on ${arn('ecs', 'task/prod/*')}`,
      ...onParameters('ssm:GetParameter', 'ssm:PutParameter'),
      // A service can have been stopped under another name.
      ...onParameter('services/*', 'ssm:GetParameter', 'ssm:DeleteParameter'),
      ...onParameter('services', 'ssm:GetParametersByPath'),
      // For a plan.
      ...onMarker('ssm:GetParameter'),
      `events:EnableRule on ${SCHEDULE}`,
      SCALING,
      // It only reads, and IAM supports no resources for it.
      'application-autoscaling:DescribeScalableTargets on *',
    ],
  ],
  ['build-indexes', ['plan-builds', 'build-index', 'check-index', 'settle-index'].flatMap(invoke)],
  [
    'start-services',
    [
      ...onServices('ecs:DescribeServices', 'ecs:UpdateService'),
      'elasticloadbalancing:DescribeTargetHealth on *',
      ...onParameter('services/*', 'ssm:GetParameter', 'ssm:DeleteParameter'),
      ...onParameter('services', 'ssm:GetParametersByPath'),
      ...onMarker('ssm:GetParameter', 'ssm:PutParameter', 'ssm:DeleteParameter'),
      ...['incidents/*', 'recovery'].flatMap((name) =>
        onParameter(name, 'ssm:GetParameter', 'ssm:PutParameter', 'ssm:DeleteParameter'),
      ),
      ...onParameter('recovery-failed', 'ssm:PutParameter', 'ssm:DeleteParameter'),
      // A saved state can name a revision, whatever is configured.
      ...onParameter('completed', 'ssm:GetParameter'),
      `events:EnableRule on ${SCHEDULE}`,
      `events:DisableRule on ${SCHEDULE}`,
      ...runChild('start-services'),
      ...CHILD_EVENTS,
      `states:DescribeExecution on ${arn('states', 'execution:pg-deploy-step-prod-deploy:*')}`,
      ...invoke('check-migrations'),
      SCALING,
      ALERTS,
    ],
  ],
])('the state machine %s has these permissions and no others', (name, expected) => {
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
  'the state machine %s may change the configured rules and mappings and no others',
  (name, onRules, onMappings) => {
    const role = roleOf('AWS::StepFunctions::StateMachine', 'RoleArn', `pg-deploy-step-every-${name}`, every);
    const rules = ['rule/nightly-import', 'rule/shop/order-placed'].map((rule) => arn('events', rule));
    const mapping = arn('lambda', 'event-source-mapping:0a1b2c3d-4e5f-4a7b-8c9d-0e1f2a3b4c5d');

    expect(
      permissionsOf(every, role).filter(
        (permission) =>
          /^events:|EventSourceMapping/.test(permission) &&
          !CHILD_EVENTS.includes(permission) &&
          !permission.endsWith('rule/pg-deploy-step-every-reconcile'),
      ),
    ).toEqual(
      [
        ...onRules.flatMap((action) => rules.map((rule) => `${action} on ${rule}`)),
        ...onMappings.map((action) => `${action} on ${mapping}`),
      ].sort(),
    );
  },
);

test('an environment without ECS services and mappings has no permission for them', async () => {
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

test.each(['none', 'ecs-task', 'lambda'] as const)(
  'with the migrations %s, an execution of an earlier configuration may still invoke the functions of the window',
  async (migrations) => {
    const input = { none: prodInput(), 'ecs-task': ecsTaskInput(), lambda: lambdaInput() }[migrations];
    const other = await synthesise({
      prod: migrations === 'none' ? { ...input, migrations: 'none' } : input,
    });
    try {
      const of = other.template('prod');
      const role = roleOf(
        'AWS::StepFunctions::StateMachine',
        'RoleArn',
        'pg-deploy-step-prod-maintenance-window',
        of,
      );
      expect(permissionsOf(of, role)).toEqual(
        expect.arrayContaining([...invoke('run-migrations'), ...invoke('check-sessions')]),
      );
    } finally {
      other.dispose();
    }
  },
);

test('the actions have the prefixes of IAM, not the names of the integrations', () => {
  const prefixes = statementsIn(every).flatMap((statement) =>
    statement.Action.map((action) => action.split(':')[0]),
  );

  expect([...new Set(prefixes)].sort()).toEqual([
    'application-autoscaling',
    'ec2',
    'ecs',
    'elasticloadbalancing',
    'events',
    'iam',
    'kms',
    'lambda',
    'logs',
    'scheduler',
    'secretsmanager',
    'sns',
    'ssm',
    'states',
    'sts',
    'xray',
  ]);
});

/** What Lambda does with the role to connect a function to a VPC. The code of the function may not do it. */
const NETWORK = [
  'AssignPrivateIpAddresses',
  'CreateNetworkInterface',
  'DeleteNetworkInterface',
  'DescribeNetworkInterfaces',
  'DescribeSubnets',
  'UnassignPrivateIpAddresses',
].flatMap((action) => [`ec2:${action} on *`, `deny ec2:${action} on *`]);

test('a function may read the configured secret, write its own log and send traces; preflight may list and read the deploys', () => {
  const secret = arn('secretsmanager', 'secret:prod/postgres-AbCdEf');
  const key = arn('kms', 'key/11111111-2222-3333-4444-555555555555');

  const FIND_DEPLOYS = [
    `states:ListExecutions on ${arn('states', 'stateMachine:pg-deploy-step-prod-deploy')}`,
    // Whether it only plans.
    `states:DescribeExecution on ${arn('states', 'execution:pg-deploy-step-prod-deploy:*')}`,
  ];

  for (const name of FUNCTIONS) {
    const role = roleOf('AWS::Lambda::Function', 'Role', `pg-deploy-step-prod-${name}`);
    const log = arn('logs', `log-group:/aws/lambda/pg-deploy-step-prod-${name}:*`);
    expect(permissionsOf(template, role)).toEqual(
      [
        ...NETWORK,
        `kms:Decrypt on ${key}`,
        `logs:CreateLogStream on ${log}`,
        `logs:PutLogEvents on ${log}`,
        `secretsmanager:DescribeSecret on ${secret}`,
        `secretsmanager:GetSecretValue on ${secret}`,
        ...(name === 'preflight' ? FIND_DEPLOYS : []),
        'xray:PutTelemetryRecords on *',
        'xray:PutTraceSegments on *',
      ].sort(),
    );
  }
  for (const { Condition: condition } of statementsIn(template).filter(({ Action: actions }) =>
    actions.includes('kms:Decrypt'),
  )) {
    expect(condition).toEqual({
      StringEquals: { 'kms:ViaService': 'secretsmanager.eu-west-1.amazonaws.com' },
    });
  }
});

test('no role has a managed policy, because those of Lambda allow to write into every log group', () => {
  const roles = resourcesOfType(template, 'AWS::IAM::Role');

  expect(roles.length).toBeGreaterThan(FUNCTIONS.length);
  expect(roles.flatMap(([, role]) => role.Properties.ManagedPolicyArns ?? [])).toEqual([]);
});

test('the permissions on network interfaces are for Lambda, not for the code of the functions', () => {
  const denied = statementsIn(template).filter(
    ({ Effect: effect, Action: actions }) =>
      effect === 'Deny' && actions.includes('ec2:DeleteNetworkInterface'),
  );

  expect(denied.map(({ Condition: condition }) => condition)).toEqual(
    FUNCTIONS.map((name) => ({
      ArnEquals: { 'lambda:SourceFunctionArn': arn('lambda', `function:pg-deploy-step-prod-${name}`) },
    })),
  );
});

test('a function outside of a VPC has no permission on network interfaces', async () => {
  const { network: _network, ...input } = prodInput();
  const outside = await synthesise({ prod: input });
  try {
    const actions = statementsIn(outside.template('prod')).flatMap((statement) => statement.Action);
    expect(actions).toContain('logs:PutLogEvents');
    expect(actions.filter((action) => action.startsWith('ec2:'))).toEqual([]);
  } finally {
    outside.dispose();
  }
});

test('a function is created after the permissions of its role', () => {
  for (const [, fn] of resourcesOfType(template, 'AWS::Lambda::Function')) {
    const [role] = (fn.Properties.Role as { 'Fn::GetAtt': [string, string] })['Fn::GetAtt'];
    expect((fn as { DependsOn?: string[] }).DependsOn).toContain(role);
    expect(resourcesOf(template)[role]?.Properties.Policies).toHaveLength(2);
  }
});

test('no policy of the template has a wildcard action', () => {
  const actions = statementsIn(template).flatMap((statement) => statement.Action);

  expect(actions.length).toBeGreaterThan(50);
  expect(actions.filter((action) => action.includes('*'))).toEqual([]);
  expect(JSON.stringify(resourcesOf(template))).not.toContain('NotAction');
});

test('Step Functions can assume the roles of the state machines only for this account', () => {
  const trust = statementsIn(template).filter(
    (statement) =>
      (statement.Principal as { Service?: string } | undefined)?.Service === 'states.amazonaws.com',
  );

  expect(trust).toHaveLength(4);
  for (const statement of trust) {
    expect(statement.Condition).toMatchObject({ StringEquals: { 'aws:SourceAccount': '222222222222' } });
  }
});
