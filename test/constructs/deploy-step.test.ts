import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, CfnParameter, type CfnResource, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as events from 'aws-cdk-lib/aws-events';
import { Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as rds from 'aws-cdk-lib/aws-rds';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Topic } from 'aws-cdk-lib/aws-sns';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';
import { DeployStep, type DeployStepProps, DeployStepStack } from '../../lib/index.ts';
import { NO_FILES, newApp, Shop } from './support/shop.ts';

let outdir: string;
let app: App;
let shop: Shop;

beforeEach(() => {
  outdir = mkdtempSync(join(tmpdir(), 'pg-deploy-step-constructs-'));
  app = newApp(outdir);
  shop = new Shop(app);
});
afterEach(() => rmSync(outdir, { recursive: true, force: true }));

/** A deploy step in the stack of the product, without indexes and migrations. */
function deployStep(props: Partial<DeployStepProps> = {}, scope: Stack = shop): DeployStep {
  return new DeployStep(scope, 'DeployStep', {
    ...{ database: shop.database, services: [shop.api], migrations: 'none', files: NO_FILES },
    ...props,
  });
}

/** The text of a state machine's definition. References are ${their logical id}. */
function definitionOf(template: Template, name: string): string {
  const machines = Object.values(template.findResources('AWS::StepFunctions::StateMachine'));
  const machine = machines.find(({ Properties }) => Properties.StateMachineName === name);
  const [, parts] = machine?.Properties?.DefinitionString?.['Fn::Join'] ?? ['', [] as unknown[]];
  return parts
    .map((part: unknown) => (typeof part === 'string' ? part : `\${${JSON.stringify(part)}}`))
    .join('');
}

describe('with a cluster and a service', () => {
  test('the functions read the generated secret and connect to the writer', () => {
    deployStep();
    const template = Template.fromStack(shop);

    const functions = Object.values(template.findResources('AWS::Lambda::Function')).filter(
      ({ Properties }) => Properties.FunctionName?.startsWith('pg-deploy-step-shop-'),
    );
    expect(functions.length).toBe(FUNCTIONS.length);
    for (const { Properties } of functions) {
      expect(Properties.Environment.Variables).toMatchObject({
        DATABASE_SECRET_ARN: { Ref: expect.stringContaining('DatabaseSecretAttachment') },
        DATABASE_HOST: { 'Fn::GetAtt': [expect.stringContaining('Database'), 'Endpoint.Address'] },
        DATABASE_PORT: { 'Fn::GetAtt': [expect.stringContaining('Database'), 'Endpoint.Port'] },
      });
      expect(Properties.VpcConfig.SubnetIds).toEqual([
        { Ref: expect.stringContaining('PrivateSubnet1') },
        { Ref: expect.stringContaining('PrivateSubnet2') },
      ]);
    }
  });

  test('the security group of the database lets the functions in, on its port only', () => {
    deployStep();

    Template.fromStack(shop).hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
      GroupId: { 'Fn::GetAtt': [Match.stringLikeRegexp('^DatabaseSecurityGroup'), 'GroupId'] },
      SourceSecurityGroupId: {
        'Fn::GetAtt': [Match.stringLikeRegexp('^DeployStepSecurityGroup'), 'GroupId'],
      },
      FromPort: { 'Fn::GetAtt': [Match.anyValue(), 'Endpoint.Port'] },
      ToPort: { 'Fn::GetAtt': [Match.anyValue(), 'Endpoint.Port'] },
    });
  });

  test('the workflow stops the service, whose names only CloudFormation knows, and may change no other one', () => {
    deployStep();
    const template = Template.fromStack(shop);

    const definition = definitionOf(template, 'pg-deploy-step-shop-maintenance-window');
    expect(definition).toContain('"name":"Api"');
    expect(definition).toMatch(/"cluster":"\$\{\{"Ref":"Cluster[0-9A-F]+"\}\}"/);
    expect(definition).toMatch(/"service":"\$\{\{"Fn::GetAtt":\["ApiService[0-9A-F]+","Name"\]\}\}"/);
    const policies = JSON.stringify(template.findResources('AWS::IAM::Policy'));
    expect(policies).toMatch(/:service\/",\{"Ref":"Cluster[0-9A-F]+"\},"\/",\{"Fn::GetAtt":\["ApiService/);
  });
});

test('a stack of its own depends on the stack of the product, and not the other way round', () => {
  const key = new Key(shop, 'Key');
  const secret = new Secret(shop, 'DeployRole', { encryptionKey: key });
  const stack = new DeployStepStack(app, 'Deploy', {
    ...{ database: shop.database, secret, services: [shop.api], migrations: 'none', files: NO_FILES },
    environmentName: 'prod',
  });

  const assembly = app.synth();
  expect(stack.dependencies).toEqual([shop]);
  const { template } = assembly.getStackByName('Deploy');
  expect(Object.keys(template.Outputs)).toEqual(['DeployMachineArn', 'AlertTopicArn']);
  expect(JSON.stringify(template)).toContain('"kms:Decrypt"');
});

describe('the name of the environment', () => {
  test.each([
    ['Shop-Prod', 'DeployStep', 'shop-prod'],
    ['Shop-Prod', 'Orders', 'shop-prod-orders'],
    ['ShopForTheWholeCompanyInAllRegions', 'DeployStep', 'shopforthewholecompanyin-3ad5c5'],
  ])('of a stack %s and an id %s is %s', (stackName, id, expected) => {
    const stack = new Stack(app, stackName);
    const step = new DeployStep(stack, id, {
      ...{ secret: new Secret(stack, 'Secret'), migrations: 'none', files: NO_FILES },
    });

    expect(step.environmentName).toBe(expected);
    expect(step.machineNames.deploy).toBe(`pg-deploy-step-${expected}-deploy`);
  });
});

describe('the database', () => {
  test('can be an instance', () => {
    const database = new rds.DatabaseInstance(shop, 'Instance', {
      engine: rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_17 }),
      vpc: shop.vpc,
    });
    deployStep({ database });

    Template.fromStack(shop).hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'pg-deploy-step-shop-preflight',
      Environment: {
        Variables: {
          DATABASE_HOST: { 'Fn::GetAtt': [Match.stringLikeRegexp('^Instance'), 'Endpoint.Address'] },
          DATABASE_PORT: { 'Fn::GetAtt': [Match.stringLikeRegexp('^Instance'), 'Endpoint.Port'] },
        },
      },
    });
  });

  test('needs a secret if it is imported', () => {
    const database = rds.DatabaseCluster.fromDatabaseClusterAttributes(shop, 'Imported', {
      ...{ clusterIdentifier: 'shop', clusterEndpointAddress: 'shop.example', port: 5432 },
      securityGroups: [],
    });

    expect(() => deployStep({ database })).toThrow(
      'Shop/DeployStep: the database Shop/Imported has no generated secret, because it is imported or has a password of its own. Give secret.',
    );
  });

  test('is required, or its secret', () => {
    expect(() => new DeployStep(shop, 'DeployStep', {})).toThrow('Shop/DeployStep: database is missing.');
  });

  test('can be a secret alone: then the functions run outside of a VPC, and have no connections', () => {
    const stack = new Stack(app, 'Alone');
    const step = deployStep(
      { database: undefined as never, secret: new Secret(stack, 'Secret'), services: [] },
      stack,
    );

    Template.fromStack(stack).hasResourceProperties('AWS::Lambda::Function', { VpcConfig: Match.absent() });
    expect(() => step.connections).toThrow('Alone/DeployStep has no connections');
  });

  test('can be opened for IAM, for one role only', () => {
    deployStep({
      databaseOptions: { name: 'shop', iam: { user: 'deploy', resourceId: 'cluster-ABCDEFGHIJ' } },
    });
    const template = Template.fromStack(shop);

    expect(JSON.stringify(template.findResources('AWS::IAM::Policy'))).toContain(
      ':dbuser:cluster-ABCDEFGHIJ/deploy',
    );
    template.hasResourceProperties('AWS::Lambda::Function', {
      FunctionName: 'pg-deploy-step-shop-preflight',
      Environment: { Variables: { DATABASE_IAM_USER: 'deploy', DATABASE_SECRET_ARN: Match.absent() } },
    });
  });
});

describe('services', () => {
  test('are ECS services, event rules and event source mappings of the app, or names', () => {
    const rule = new events.Rule(shop, 'Nightly', { schedule: events.Schedule.cron({ hour: '3' }) });
    const consumer = new lambda.Function(shop, 'Consumer', {
      ...{ runtime: lambda.Runtime.NODEJS_24_X, handler: 'index.handler', code: lambda.Code.fromInline(';') },
    });
    const mapping = consumer.addEventSourceMapping('Queue', {
      eventSourceArn: 'arn:aws:sqs:eu-west-1:111111111111:orders',
    });
    deployStep({
      services: [
        { service: shop.api, name: 'web', scaling: true },
        { rule },
        { mapping, name: 'orders' },
        { name: 'legacy', cluster: 'old', service: 'legacy' },
        { name: 'import', kind: 'event-rule', rule: 'import' },
      ],
    });

    const definition = definitionOf(Template.fromStack(shop), 'pg-deploy-step-shop-maintenance-window');
    for (const name of ['web', 'Nightly', 'orders', 'legacy', 'import']) {
      expect(definition).toContain(`"name":"${name}"`);
    }
    expect(definition).toMatch(/"name":"Nightly","rule":"\$\{\{"Ref":"Nightly/);
    expect(definition).toMatch(/"name":"orders","uuid":"\$\{\{"Ref":"ConsumerQueue/);
  });

  test('can get other revisions if the roles of their task definitions are given, which the deploy may pass to ECS', () => {
    deployStep({
      services: [
        { service: shop.api, roles: shop.api.taskDefinition },
        {
          ...{ name: 'legacy', cluster: 'old', service: 'legacy' },
          roles: { task: 'arn:aws:iam::111111111111:role/legacy', execution: 'none' },
        },
        shop.addService('Worker'),
      ],
    });

    const template = Template.fromStack(shop);
    const definition = definitionOf(template, 'pg-deploy-step-shop-deploy');
    expect(definition).toContain('"services":["Api","legacy"]');
    const policies = Object.values(template.findResources('AWS::IAM::Policy'));
    const passing = policies
      .flatMap(({ Properties: properties }) => properties.PolicyDocument.Statement)
      .filter(({ Action: action }) => [action].flat().includes('iam:PassRole'));
    const roles = passing.map(({ Resource: resource }) => JSON.stringify(resource));
    expect(roles.join()).toContain('ApiTaskTaskRole');
    expect(roles.join()).toContain('role/legacy');
    expect(roles.join()).not.toContain('Worker');
  });

  test('are suspended while they are stopped if the app scales them', () => {
    shop.api.autoScaleTaskCount({ maxCapacity: 4 });
    deployStep({ services: [shop.api, shop.addService('Worker')] });

    const definition = definitionOf(Template.fromStack(shop), 'pg-deploy-step-shop-maintenance-window');
    expect(definition).toMatch(
      /"name":"Api",[^{}]*\$\{[^{}]*\{[^{}]*\}\}[^{}]*\$\{[^{}]*\{[^{}]*\}\}","scaling":true/,
    );
    expect(definition.match(/"scaling":false/g)?.length).toBeGreaterThan(0);
  });

  test('that get their scaling later fail the synth, because it would not be suspended', () => {
    deployStep();
    shop.api.autoScaleTaskCount({ maxCapacity: 4 });

    expect(() => app.synth()).toThrow(
      /The service Shop\/Api got autoScaleTaskCount after this construct was created/,
    );
  });

  test('that set DesiredCount in their template are a warning, because CloudFormation would raise it inside the window', () => {
    const worker = shop.addService('Worker');
    (shop.api.node.defaultChild as CfnResource | undefined)?.addPropertyOverride('DesiredCount', 3);
    const quiet = shop.addService('Quiet');
    const resource = quiet.node.findChild('Service') as CfnResource;
    resource.addPropertyOverride('DesiredCount', 2);
    resource.addPropertyDeletionOverride('DesiredCount');
    deployStep({ services: [shop.api, worker, quiet] });
    // Also what is set after the construct was created.
    (worker.node.findChild('Service') as CfnResource).addPropertyOverride('DesiredCount', {
      Ref: 'WorkerCount',
    });
    new CfnParameter(shop, 'WorkerCount', { type: 'Number' });

    const { messages } = app.synth().getStackArtifact(shop.artifactId);
    const warnings = messages
      .map(({ entry }) => String(entry.data))
      .filter((text) => text.includes('DesiredCount'));
    expect(warnings).toEqual([
      expect.stringContaining('The ECS service Shop/Api sets DesiredCount (3) in its template.'),
      expect.stringContaining('The ECS service Shop/Worker sets DesiredCount in its template.'),
    ]);
    expect(warnings[0]).toContain('[ack: pg-deploy-step:desired-count]');
  });

  test('without a desired count, and those of other apps, cause no such warning', () => {
    const cluster = ecs.Cluster.fromClusterAttributes(shop, 'Imported', {
      clusterName: 'old',
      vpc: shop.vpc,
    });
    const imported = ecs.FargateService.fromFargateServiceAttributes(shop, 'Legacy', {
      ...{ cluster, serviceName: 'legacy' },
    });
    deployStep({ services: [shop.api, { service: imported, name: 'legacy' }] });

    const { messages } = app.synth().getStackArtifact(shop.artifactId);
    expect(messages.filter(({ entry }) => String(entry.data).includes('DesiredCount'))).toEqual([]);
  });

  test('cannot be in the list twice, nor have the same name', () => {
    expect(() => deployStep({ services: [shop.api, { service: shop.api, name: 'again' }] })).toThrow(
      'services.1: "again" is already in the list: remove one of the two.',
    );
    const twins = [shop.api, { service: shop.addService('Worker'), name: 'Api' }];
    expect(() => deployStep({ services: twins }, new Stack(app, 'Other'))).toThrow(
      'services.1.name: must be unique, but another service is named "Api" too',
    );
  });
});

test('a hold ends after holdMinutes', () => {
  deployStep({ holdMinutes: 45 });

  const definition = definitionOf(Template.fromStack(shop), 'pg-deploy-step-shop-start-services');
  expect(definition).toContain('"Wait For Hold Limit":{"Type":"Wait","Seconds":2700,');
});

test('a wrong value is refused with the path of the property', () => {
  const wrong = { builds: { lockTimeoutSeconds: 1 }, stopMinutes: 0, environmentName: 'shop' };
  expect(() => deployStep(wrong)).toThrow(
    [
      'The properties of Shop/DeployStep are not valid:',
      '  builds.lockTimeoutSeconds: must be at least 3, because PostgreSQL cancels an autovacuum that blocks a lock only after deadlock_timeout',
      '  stopMinutes: ',
    ].join('\n'),
  );
  expect(() => deployStep({ environmentName: 'Shop!' }, new Stack(app, 'Other'))).toThrow(
    'environmentName: must consist of lower-case letters',
  );
});

test('the stack of a wrong value begins at the line of the app', () => {
  const stackOf = () => {
    try {
      return String(deployStep({ stopMinutes: 0 }));
    } catch (error) {
      return (error as Error).stack ?? '';
    }
  };

  const [first] = stackOf().match(/^ {4}at .*$/gm) ?? [];
  expect(first).toContain(import.meta.filename);
});

test('topics and keys of the app are used, and AWS may use the keys', () => {
  const [topicKey, logsKey, machineKey] = ['TopicKey', 'LogsKey', 'MachineKey'].map(
    (id) => new Key(shop, id),
  );
  const topic = new Topic(shop, 'OnCall');
  deployStep({
    ...{ alerts: { topic, key: topicKey as Key }, alarms: true },
    ...{ logs: { key: logsKey as Key, executionData: true }, stateMachineKey: machineKey as Key },
  });
  const template = Template.fromStack(shop);

  template.resourceCountIs('AWS::SNS::Topic', 1);
  template.allResourcesProperties('AWS::StepFunctions::StateMachine', {
    EncryptionConfiguration: { KmsKeyId: { 'Fn::GetAtt': [Match.stringLikeRegexp('^MachineKey'), 'Arn'] } },
  });
  template.hasResourceProperties(
    'AWS::KMS::Key',
    policyFor({ 'Fn::Join': ['', ['logs.', { Ref: 'AWS::Region' }, '.amazonaws.com']] }),
  );
  template.hasResourceProperties('AWS::KMS::Key', policyFor('cloudwatch.amazonaws.com'));
});

function policyFor(service: unknown): unknown {
  const statement = Match.objectLike({ Principal: { Service: service } });
  return { KeyPolicy: { Statement: Match.arrayWith([statement]) } };
}

test('a role can start deploys and read them', () => {
  const role = new Role(shop, 'Pipeline', { assumedBy: new ServicePrincipal('codebuild.amazonaws.com') });
  const step = deployStep();
  step.grantStartExecution(role);
  step.grantRead(role);

  const machine = { Ref: Match.stringLikeRegexp('^DeployStepDeployMachine') };
  Template.fromStack(shop).hasResourceProperties('AWS::IAM::Policy', {
    Roles: [{ Ref: Match.stringLikeRegexp('^Pipeline') }],
    PolicyDocument: {
      Statement: Match.arrayWith([Match.objectLike({ Action: 'states:StartExecution', Resource: machine })]),
    },
  });
});

test('the metrics are those of deploys', () => {
  const step = deployStep({ alarms: true });
  const metrics = [step.metricStarted(), step.metricSucceeded(), step.metricFailed(), step.metricAborted()];

  expect(metrics.map(({ metricName }) => metricName)).toEqual([
    ...['ExecutionsStarted', 'ExecutionsSucceeded', 'ExecutionsFailed', 'ExecutionsAborted'],
  ]);
  expect(metrics.map(({ dimensions }) => dimensions?.StateMachineArn)).toEqual(
    Array(4).fill(step.stateMachine.stateMachineArn),
  );
  expect(step.metricDuration().metricName).toBe('ExecutionTime');
  expect(step.metricServicesStopped()).toMatchObject({
    ...{ namespace: 'pg-deploy-step/shop', metricName: 'ServicesStopped' },
  });
});

test('the metric of stopped services needs the alarms, which write it', () => {
  expect(() => deployStep().metricServicesStopped()).toThrow(
    'Shop/DeployStep: the metric of stopped services is written only with alarms: true.',
  );
});

test('security groups that are given are used unchanged', () => {
  const group = new ec2.SecurityGroup(shop, 'Own', { vpc: shop.vpc });
  const step = deployStep({ securityGroups: [group] });

  expect(step.connections.securityGroups).toEqual([group]);
  Template.fromStack(shop).resourceCountIs('AWS::EC2::SecurityGroupIngress', 0);
});
