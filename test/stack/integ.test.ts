import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Match, type Template } from 'aws-cdk-lib/assertions';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AppRun, runApp } from './support/run-app.ts';
import { PROJECT_ROOT } from './support/synthesise.ts';
import { type Resource, resourcesOf, resourcesOfType, statementsIn } from './support/template-values.ts';

/*
 * The test on AWS is synthesised without an account, and its templates contain what docs/testing-on-aws.md promises.
 */

const STACKS = [
  'pg-deploy-step-integ-environment',
  'pg-deploy-step-integ',
  'pg-deploy-step-integ-assertions',
] as const;

let run: AppRun;
let environment: Template;
let deployStep: Template;
let assertions: Template;

beforeAll(async () => {
  run = await runApp(join(PROJECT_ROOT, 'integ/app.ts'));
  [environment, deployStep, assertions] = STACKS.map((stack) => run.template(stack)) as [
    Template,
    Template,
    Template,
  ];
});
afterAll(() => run?.dispose());

const allResources = () =>
  STACKS.flatMap((stack) => Object.entries(resourcesOf(run.template(stack)))) as [
    string,
    Resource & { DeletionPolicy?: string; UpdateReplacePolicy?: string },
  ][];

test('is synthesised without an account', () => {
  expect(run.stderr).toBe('');
  expect(run.exitCode).toBe(0);
  expect(run.stacks.toSorted()).toEqual(STACKS.toSorted());
});

describe('the environment', () => {
  test('has subnets for the database and for the tasks, and no NAT gateway', () => {
    environment.resourceCountIs('AWS::EC2::VPC', 1);
    environment.resourceCountIs('AWS::EC2::Subnet', 4);
    environment.resourceCountIs('AWS::EC2::NatGateway', 0);
    // The functions have no other way to AWS.
    expect(
      resourcesOfType(environment, 'AWS::EC2::VPCEndpoint').map(([, { Properties: properties }]) =>
        (properties.ServiceName as { 'Fn::Join': [string, string[]] })['Fn::Join'][1].at(-1),
      ),
    ).toEqual(['.secretsmanager', '.states']);
  });

  test('has the smallest database, in one zone, without backups', () => {
    const [[, database] = ['', undefined], ...others] = resourcesOfType(environment, 'AWS::RDS::DBInstance');
    expect(others).toEqual([]);
    expect(database?.Properties).toMatchObject({
      ...{ Engine: 'postgres', DBInstanceClass: 'db.t4g.micro', AllocatedStorage: '20', StorageType: 'gp3' },
      ...{ BackupRetentionPeriod: 0, DeletionProtection: false, DeleteAutomatedBackups: true },
      ...{ PubliclyAccessible: false, StorageEncrypted: true },
    });
    expect(database?.Properties).not.toHaveProperty('MultiAZ');
    expect(Number.parseInt(String(database?.Properties.EngineVersion), 10)).toBeGreaterThanOrEqual(16);
  });

  test('has a service that stops slowly: it is deregistered for 2 minutes, and then has 120 s after SIGTERM', () => {
    environment.hasResourceProperties('AWS::ElasticLoadBalancingV2::TargetGroup', {
      TargetGroupAttributes: Match.arrayWith([{ Key: 'deregistration_delay.timeout_seconds', Value: '120' }]),
    });
    const [[, tasks] = ['', undefined]] = resourcesOfType(environment, 'AWS::ECS::TaskDefinition');
    const containers = tasks?.Properties.ContainerDefinitions as {
      StopTimeout: number;
      Command?: string[];
    }[];
    expect(containers.map(({ StopTimeout }) => StopTimeout)).toEqual([120, 120]);
    const seconds = Number(/trap 'sleep (\d+)/.exec(containers[1]?.Command?.[0] ?? '')?.[1]);
    expect(seconds).toBeGreaterThan(30);
    expect(seconds).toBeLessThan(120);
  });

  test('has a service with two tasks and a scaling that has no policies', () => {
    environment.hasResourceProperties('AWS::ECS::Service', {
      ...{ ServiceName: 'slow', DesiredCount: 2, LaunchType: 'FARGATE' },
      LoadBalancers: [Match.objectLike({ ContainerName: 'web', ContainerPort: 80 })],
    });
    environment.hasResourceProperties('AWS::ApplicationAutoScaling::ScalableTarget', {
      ...{ MinCapacity: 2, MaxCapacity: 3 },
    });
    environment.resourceCountIs('AWS::ApplicationAutoScaling::ScalingPolicy', 0);
  });
});

test('the functions run in the network of the environment, and may read its secret only', () => {
  const reference = (part: string) => ({ 'Fn::ImportValue': Match.stringLikeRegexp(part) });
  const functions = resourcesOfType(deployStep, 'AWS::Lambda::Function').length;
  deployStep.resourcePropertiesCountIs(
    'AWS::Lambda::Function',
    {
      VpcConfig: {
        SubnetIds: [reference('isolatedSubnet1'), reference('isolatedSubnet2')],
        SecurityGroupIds: [reference('FunctionsSecurityGroup')],
      },
      Environment: { Variables: Match.objectLike({ DATABASE_SECRET_ARN: reference('DatabaseSecret') }) },
    },
    functions,
  );
  expect(functions).toBe(9);
});

test('nothing is kept when the stacks are deleted', () => {
  const kept = allResources().filter(
    ([, { Type, DeletionPolicy, UpdateReplacePolicy }]) =>
      Type !== 'AWS::CDK::Metadata' && (DeletionPolicy !== 'Delete' || UpdateReplacePolicy !== 'Delete'),
  );
  expect(kept.map(([id]) => id)).toEqual([]);
});

test('each function and each state machine of the deploy step writes its logs to a log group of the stacks', () => {
  for (const [id, { Type, Properties: properties }] of allResources()) {
    if (Type === 'AWS::Lambda::Function')
      expect([id, properties.LoggingConfig]).toEqual([id, { LogGroup: { Ref: expect.any(String) } }]);
  }
  expect(
    allResources()
      .filter(([, { Type }]) => Type === 'AWS::Logs::LogGroup')
      .map(([, { Properties: properties }]) => properties.RetentionInDays),
  ).toSatisfy((days: number[]) => days.length >= 18 && days.every((each) => each === 1));
});

test('the parameters that the workflow writes are deleted with the environment', () => {
  const [[, parameters] = ['', undefined]] = resourcesOfType(environment, 'Custom::AWS');
  const { parameters: call } = JSON.parse(String(parameters?.Properties.Delete));
  const allowed = statementsIn(deployStep)
    .filter(({ Action: actions }) => actions.includes('ssm:PutParameter'))
    .flatMap(({ Resource: resources }) => resources.map((arn) => arn.replace(/^.*:parameter/, '')));

  expect(new Set(allowed.map((name) => name.replace(/\*$/, 'slow')))).toEqual(new Set(call.Names));
});

describe('the assertions', () => {
  const calls = () =>
    Object.values(resourcesOf(assertions)).filter(({ Type }) =>
      Type.startsWith('Custom::DeployAssert@SdkCall'),
    );

  test('start two deploys', () => {
    expect(calls().filter(({ Properties: { api } }) => api === 'startExecution').length).toBe(2);
  });

  test('wait for their result, because others do not fail the deployment of the stack', () => {
    const waiting = calls().filter(({ Properties: { api } }) => api !== 'startExecution');
    expect(waiting.length).toBeGreaterThan(15);
    for (const { Properties: properties } of waiting) {
      expect(Object.keys(properties)).toEqual(expect.arrayContaining(['expected', 'stateMachineArn']));
      // The function of the package does not know it.
      expect(properties.expected).not.toContain('$Exact');
    }
  });

  test('wait longer for a deploy than its deadlines', () => {
    const waits = resourcesOfType(assertions, 'AWS::StepFunctions::StateMachine').map(
      ([, { Properties: properties }]) => {
        const definition = JSON.stringify(properties.DefinitionString).replaceAll('\\', '');
        const [interval, attempts] = ['IntervalSeconds', 'MaxAttempts'].map((field) =>
          Number(new RegExp(`"${field}":(\\d+)`).exec(definition)?.[1]),
        );
        return (interval ?? 0) * (attempts ?? 0);
      },
    );
    // An ECS deployment ends in at most 15 minutes, the services stop in 10, their sessions end in 2, and the services start in 15.
    expect(waits.filter((seconds) => seconds >= 42 * 60).length).toBe(2);
    // CloudFormation waits an hour for a custom resource.
    expect(Math.max(...waits)).toBeLessThan(3600);
  });
});

test('docs/testing-on-aws.md names all three stacks', () => {
  const page = readFileSync(join(PROJECT_ROOT, 'docs/testing-on-aws.md'), 'utf8');
  for (const stack of STACKS) expect(page).toContain(`\`${stack}\``);
});
