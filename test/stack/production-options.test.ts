import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type EnvironmentInput, parseEnvironments } from '../../lib/config/environment-config.ts';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';
import { MACHINES } from './support/definitions.ts';
import { permissionsIn } from './support/iam-matcher.ts';
import { keyArn, prodInput, productionInput, type Synthesised, synthesise } from './support/synthesise.ts';
import { resolveValue, resourcesOf, resourcesOfType } from './support/template-values.ts';

const EXISTING = 'arn:aws:sns:eu-west-1:222222222222:on-call';
const ARN = 'arn:aws:sns:eu-west-1:222222222222';

let synthesised: Synthesised;
beforeAll(async () => {
  synthesised = await synthesise({
    prod: prodInput(),
    production: productionInput(),
    alarms: { ...prodInput(), alarms: true },
    existing: {
      ...prodInput(),
      alarms: true,
      stoppedMinutes: 95,
      alerts: { topicArn: EXISTING, kmsKeyArn: keyArn(4) },
    },
  });
});
afterAll(() => synthesised?.dispose());

const propertiesOf = (name: string, type: string) =>
  resourcesOfType(synthesised.template(name), type).map(([, { Properties: properties }]) => properties);
const permissionsFor = (name: string, action: string) =>
  permissionsIn(synthesised.template(name)).filter((permission) => permission.action === action);

describe('the alarms', () => {
  test('exist only on request', () => {
    expect(propertiesOf('prod', 'AWS::CloudWatch::Alarm')).toEqual([]);
  });

  test('report each end of each state machine other than success, and errors and throttles of each function', () => {
    const alarms = propertiesOf('alarms', 'AWS::CloudWatch::Alarm');

    expect(alarms.map((alarm) => `${alarm.AlarmName} ${alarm.Namespace} ${alarm.MetricName}`).sort()).toEqual(
      [
        ...MACHINES.flatMap((machine) => [
          `pg-deploy-step-alarms-${machine}-failed AWS/States ExecutionsFailed`,
          `pg-deploy-step-alarms-${machine}-timed-out AWS/States ExecutionsTimedOut`,
          `pg-deploy-step-alarms-${machine}-aborted AWS/States ExecutionsAborted`,
        ]),
        ...FUNCTIONS.flatMap((name) => [
          `pg-deploy-step-alarms-${name}-errors AWS/Lambda Errors`,
          `pg-deploy-step-alarms-${name}-throttles AWS/Lambda Throttles`,
        ]),
        'pg-deploy-step-alarms-services-stopped pg-deploy-step/alarms ServicesStopped',
      ].sort(),
    );
    for (const alarm of alarms.filter(({ MetricName }) => MetricName !== 'ServicesStopped')) {
      expect(alarm).toMatchObject({
        ...{ Threshold: 1, Statistic: 'Sum', ComparisonOperator: 'GreaterThanOrEqualToThreshold' },
        ...{ TreatMissingData: 'notBreaching', AlarmDescription: expect.stringMatching(/^An .*\.$/) },
        AlarmActions: [expect.anything()],
      });
      expect(String(alarm.AlarmDescription)).toContain(
        String(alarm.AlarmName).replace(/-[a-z]+(-out)?$/, ''),
      );
    }
  });

  test.each([
    ['alarms', 60, 6],
    ['existing', 95, 10],
  ])('report services that are stopped for too long, environment %s', (name, minutes, periods) => {
    const [alarm] = propertiesOf(name, 'AWS::CloudWatch::Alarm').filter(
      ({ MetricName }) => MetricName === 'ServicesStopped',
    );

    expect(alarm).toMatchObject({
      ...{ Namespace: `pg-deploy-step/${name}`, Statistic: 'Maximum', Period: 600, Threshold: 1 },
      ...{ EvaluationPeriods: periods + 1, DatapointsToAlarm: periods, TreatMissingData: 'notBreaching' },
      AlarmDescription: expect.stringContaining(`longer than ${minutes} minutes`),
      AlarmActions: [expect.anything()],
    });
    expect(permissionsFor(name, 'cloudwatch:PutMetricData')).toMatchObject([
      {
        resource: '*',
        condition: { StringEquals: { 'cloudwatch:namespace': `pg-deploy-step/${name}` } },
      },
    ]);
    expect(permissionsFor('prod', 'cloudwatch:PutMetricData')).toEqual([]);
  });

  test('may publish to the topic, which has a key of its own that CloudWatch may use', () => {
    const template = synthesised.template('alarms');
    const [key] = propertiesOf('alarms', 'AWS::KMS::Key');
    const [topic] = propertiesOf('alarms', 'AWS::SNS::Topic');
    const statement = (policy: unknown) =>
      (policy as { Statement: { Sid?: string }[] }).Statement.find(({ Sid }) => Sid === 'AlarmsPublish');

    expect(resolveValue(template, topic?.KmsMasterKeyId)).toContain('AlertsOwnKey');
    expect(key?.EnableKeyRotation).toBe(true);
    const common = {
      Effect: 'Allow',
      Principal: { Service: 'cloudwatch.amazonaws.com' },
      Condition: { StringEquals: { 'aws:SourceAccount': '222222222222' } },
    };
    expect(statement(key?.KeyPolicy)).toMatchObject({
      ...common,
      Action: ['kms:Decrypt', 'kms:GenerateDataKey'],
    });
    const [policy] = propertiesOf('alarms', 'AWS::SNS::TopicPolicy');
    expect(statement(policy?.PolicyDocument)).toMatchObject({ ...common, Action: 'sns:Publish' });
  });

  test.each([
    ['production', `${ARN}:pg-deploy-step-production-alerts`, keyArn(2)],
    ['existing', EXISTING, keyArn(4)],
  ])('and the state machines that publish may use its key, environment %s', (name, topic, key) => {
    const ofRoles = permissionsFor(name, 'sns:Publish').filter(({ condition }) => condition === undefined);
    expect(ofRoles.map(({ resource }) => resource)).toEqual([topic, topic]);
    for (const action of ['kms:Decrypt', 'kms:GenerateDataKey']) {
      const ofTopic = permissionsFor(name, action).filter(({ resource }) => resource === key);
      expect(ofTopic.map(({ condition }) => condition)).toEqual(
        Array(2).fill({ StringEquals: { 'kms:ViaService': 'sns.eu-west-1.amazonaws.com' } }),
      );
    }
  });

  test('go to an existing topic, which the stack does not create or change', () => {
    expect(resourcesOfType(synthesised.template('existing'), 'AWS::SNS::Topic')).toEqual([]);
    expect(resourcesOfType(synthesised.template('existing'), 'AWS::SNS::TopicPolicy')).toEqual([]);
    for (const alarm of propertiesOf('existing', 'AWS::CloudWatch::Alarm'))
      expect(alarm.AlarmActions).toEqual([EXISTING]);
  });
});

describe('the options for production', () => {
  test('encrypt the state machines with the key, which their roles may use for these machines and their logs only', () => {
    for (const machine of propertiesOf('production', 'AWS::StepFunctions::StateMachine')) {
      expect(machine.EncryptionConfiguration).toEqual({
        Type: 'CUSTOMER_MANAGED_KMS_KEY',
        KmsKeyId: keyArn(3),
        KmsDataKeyReusePeriodSeconds: 900,
      });
    }
    const arnOf = (name: string) =>
      `arn:aws:states:eu-west-1:222222222222:stateMachine:pg-deploy-step-production-${name}`;
    const context = 'kms:EncryptionContext:aws:states:stateMachineArn';
    const machinesOf = permissionsFor('production', 'kms:Decrypt')
      .filter(({ resource }) => resource === keyArn(3))
      .map(({ condition }) => [Object(condition).StringEquals[context]].flat().toSorted());
    expect(machinesOf).toHaveLength(MACHINES.length + 1);
    // Of preflight, which reads whether another execution only plans.
    expect(machinesOf).toContainEqual([arnOf('deploy')]);
    expect(machinesOf.filter(({ length }) => length > 1)).toEqual(
      Array(MACHINES.length).fill(MACHINES.map(arnOf).toSorted()),
    );
    const ofLogs = permissionsFor('production', 'kms:GenerateDataKey').filter(({ condition }) =>
      JSON.stringify(condition ?? {}).includes('EncryptionContext:SourceArn'),
    );
    expect(ofLogs).toMatchObject(
      Array(MACHINES.length).fill({
        resource: keyArn(3),
        condition: {
          StringEquals: { 'kms:EncryptionContext:SourceArn': 'arn:aws:logs:eu-west-1:222222222222:*' },
        },
      }),
    );
    for (const machine of propertiesOf('prod', 'AWS::StepFunctions::StateMachine'))
      expect(machine).not.toHaveProperty('EncryptionConfiguration');
  });

  test.each([
    ['production', 'Retain'],
    ['prod', 'Delete'],
  ])('decide whether log groups and topic remain, environment %s', (name, policy) => {
    const kept = ['AWS::Logs::LogGroup', 'AWS::SNS::Topic', 'AWS::KMS::Key'];
    const resources = Object.values(resourcesOf(synthesised.template(name))).filter(({ Type: type }) =>
      kept.includes(type),
    );

    expect(resources.length).toBeGreaterThan(FUNCTIONS.length + MACHINES.length);
    for (const resource of resources)
      expect((resource as { DeletionPolicy?: string }).DeletionPolicy ?? 'Delete').toBe(policy);
  });

  test('give every role the permissions boundary', () => {
    const boundaries = (name: string) =>
      propertiesOf(name, 'AWS::IAM::Role').map((role) => role.PermissionsBoundary);

    expect(boundaries('production').length).toBeGreaterThan(FUNCTIONS.length + MACHINES.length);
    expect(new Set(boundaries('production'))).toEqual(
      new Set(['arn:aws:iam::222222222222:policy/team/boundary']),
    );
    expect(new Set(boundaries('prod'))).toEqual(new Set([undefined]));
  });

  test('protect the stack from deletion, and tag it', () => {
    const stack = synthesised.stack('production');

    expect(stack.terminationProtection).toBe(true);
    expect(synthesised.stack('prod').terminationProtection).not.toBe(true);
    expect(stack.tags.tagValues()).toMatchObject({ Team: 'Shop 1', 'cost:center': '4711' });
  });

  test.each<[string, Partial<EnvironmentInput>, string]>([
    [
      'an existing topic with addresses',
      { alerts: { topicArn: EXISTING, emails: ['a@example.com'] } },
      'environments.prod.alerts.emails: must be empty with topicArn: subscribe the addresses to that topic yourself',
    ],
    [
      'a topic that is not an ARN',
      { alerts: { topicArn: 'on-call' } },
      'environments.prod.alerts.topicArn: must be the ARN of a standard SNS topic',
    ],
    [
      'a FIFO topic',
      { alerts: { topicArn: `${EXISTING}.fifo` } },
      'environments.prod.alerts.topicArn: must be the ARN of a standard SNS topic',
    ],
    [
      'a boundary that is a name',
      { stack: { permissionsBoundary: 'boundary' } },
      'environments.prod.stack.permissionsBoundary: must be the ARN of a managed policy',
    ],
    [
      'a tag of AWS',
      { stack: { tags: { 'aws:x': 'y' } } },
      'environments.prod.stack.tags.aws:x: the name must be a key that AWS accepts',
    ],
    [
      'an alias as the key of the state machines',
      { stack: { stateMachineKeyArn: 'arn:aws:kms:eu-west-1:222222222222:alias/x' } },
      'environments.prod.stack.stateMachineKeyArn: must be the ARN of a KMS key',
    ],
    [
      'an alarm after less time than the schedule has',
      { stoppedMinutes: 9 },
      'environments.prod.stoppedMinutes: must be at least 10, because stopped services are counted every 10 minutes',
    ],
    [
      'an unknown option',
      { stack: { retention: true } as never },
      'environments.prod.stack: unknown field retention; valid fields: namePrefix, terminationProtection, retain, stateMachineKeyArn, permissionsBoundary, tags',
    ],
  ])('%s is refused', (_name, input, message) => {
    expect(() => parseEnvironments({ prod: { ...prodInput(), ...input } })).toThrow(message);
  });
});
