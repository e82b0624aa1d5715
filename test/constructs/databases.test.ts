import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type App, Stack } from 'aws-cdk-lib';
import { Match, Template } from 'aws-cdk-lib/assertions';
import * as rds from 'aws-cdk-lib/aws-rds';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DeployStep, type DeployStepProps } from '../../lib/index.ts';
import { NO_FILES, newApp, Shop } from './support/shop.ts';

/*
 * Databases as people have them: with the secret that CDK generates, with one that RDS manages, imported, without a database name.
 */

let outdir: string;
let app: App;
let shop: Shop;

beforeEach(() => {
  outdir = mkdtempSync(join(tmpdir(), 'pg-deploy-step-databases-'));
  app = newApp(outdir);
  shop = new Shop(app);
});
afterEach(() => rmSync(outdir, { recursive: true, force: true }));

const INSTANCE = {
  engine: rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_17 }),
};
const CLUSTER = {
  engine: rds.DatabaseClusterEngine.auroraPostgres({ version: rds.AuroraPostgresEngineVersion.VER_16_4 }),
  writer: rds.ClusterInstance.serverlessV2('Writer'),
};
const MANAGED = 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:rds!cluster-0a1b2c3d-AbCdEf';

function deployStep(props: Partial<DeployStepProps>, scope: Stack = shop): DeployStep {
  return new DeployStep(scope, 'DeployStep', { migrations: 'none', files: NO_FILES, ...props });
}

function warningsOf({ node }: DeployStep): string[] {
  return node.metadata.filter(({ type }) => type === 'aws:cdk:warning').map(({ data }) => String(data));
}

function expectVariables(variables: Record<string, unknown>, stack: Stack = shop): void {
  Template.fromStack(stack).hasResourceProperties('AWS::Lambda::Function', {
    FunctionName: Match.stringLikeRegexp('-preflight$'),
    Environment: { Variables: variables },
  });
}

describe('a secret that RDS manages has no host and no database name', () => {
  test('of a cluster: they are those of the cluster', () => {
    const database = new rds.DatabaseCluster(shop, 'Managed', {
      ...{ ...CLUSTER, vpc: shop.vpc, defaultDatabaseName: 'orders', manageMasterUserPassword: true },
    });
    deployStep({ database });

    expectVariables({
      DATABASE_SECRET_ARN: {
        'Fn::GetAtt': [Match.stringLikeRegexp('^Managed'), 'MasterUserSecret.SecretArn'],
      },
      DATABASE_HOST: { 'Fn::GetAtt': [Match.stringLikeRegexp('^Managed'), 'Endpoint.Address'] },
      DATABASE_NAME: 'orders',
    });
  });

  test('of an instance: they are those of the instance', () => {
    const database = new rds.DatabaseInstance(shop, 'Managed', {
      ...{ ...INSTANCE, vpc: shop.vpc, databaseName: 'orders', manageMasterUserPassword: true },
    });
    deployStep({ database });

    expectVariables({
      DATABASE_SECRET_ARN: {
        'Fn::GetAtt': [Match.stringLikeRegexp('^Managed'), 'MasterUserSecret.SecretArn'],
      },
      DATABASE_NAME: 'orders',
    });
  });

  test('also where an older CDK has no property for it', () => {
    const cluster = shop.database.node.defaultChild as rds.CfnDBCluster;
    cluster.manageMasterUserPassword = true;
    cluster.masterUserPassword = undefined;
    deployStep({ database: shop.database });

    expectVariables({
      DATABASE_SECRET_ARN: {
        'Fn::GetAtt': [Match.stringLikeRegexp('^Database'), 'MasterUserSecret.SecretArn'],
      },
      DATABASE_NAME: 'shop',
    });
  });

  test('the functions may read it', () => {
    const database = new rds.DatabaseCluster(shop, 'Managed', {
      ...{ ...CLUSTER, vpc: shop.vpc, defaultDatabaseName: 'orders', manageMasterUserPassword: true },
    });
    deployStep({ database });

    Template.fromStack(shop).hasResourceProperties('AWS::IAM::Policy', {
      PolicyDocument: {
        Statement: Match.arrayWith([
          Match.objectLike({
            Action: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
            Resource: { 'Fn::GetAtt': [Match.stringLikeRegexp('^Managed'), 'MasterUserSecret.SecretArn'] },
          }),
        ]),
      },
    });
  });

  test('without a database: host and name are required', () => {
    const secret = Secret.fromSecretCompleteArn(shop, 'Managed', MANAGED);

    expect(() => deployStep({ secret })).toThrow(
      [
        'The properties of Shop/DeployStep are not valid:',
        '  databaseOptions.host: is required, because RDS manages this secret: it contains only username and password',
        '  databaseOptions.name: is required, because RDS manages this secret: it contains only username and password',
      ].join('\n'),
    );
  });

  test('without a database, with host and name', () => {
    const secret = Secret.fromSecretCompleteArn(shop, 'Managed', MANAGED);
    deployStep({ secret, databaseOptions: { host: 'db.example', name: 'orders' } });

    expectVariables({ DATABASE_SECRET_ARN: MANAGED, DATABASE_HOST: 'db.example', DATABASE_NAME: 'orders' });
  });
});

describe('the name of the database', () => {
  test('is in the secret that CDK generates for a database with a name', () => {
    deployStep({ database: shop.database });

    expectVariables({ DATABASE_NAME: 'shop' });
  });

  test('is missing for a database of this app without one, because then it is in no secret', () => {
    const instance = new rds.DatabaseInstance(shop, 'Nameless', { ...INSTANCE, vpc: shop.vpc });
    const cluster = new rds.DatabaseCluster(shop, 'NamelessCluster', { ...CLUSTER, vpc: shop.vpc });

    expect(warningsOf(deployStep({ database: instance }))).toEqual([
      expect.stringContaining(
        'The database Shop/Nameless has no databaseName, so its secret has no name to connect to, and deploys will be refused. Give databaseOptions.name.',
      ),
    ]);
    expect(warningsOf(deployStep({ database: cluster }, new Stack(app, 'Other')))).toEqual([
      expect.stringContaining('The database Shop/NamelessCluster has no defaultDatabaseName'),
    ]);
    const named = { database: instance, databaseOptions: { name: 'orders' } };
    expect(warningsOf(deployStep(named, new Stack(app, 'Named')))).toEqual([]);
  });

  test('is required for a database of this app without one, if RDS manages its secret', () => {
    const database = new rds.DatabaseInstance(shop, 'Nameless', {
      ...{ ...INSTANCE, vpc: shop.vpc, manageMasterUserPassword: true },
    });

    expect(() => deployStep({ database })).toThrow('databaseOptions.name: is required, because RDS manages');
  });

  test('may be in the secret of a database that was restored from a snapshot', () => {
    const database = new rds.DatabaseInstanceFromSnapshot(shop, 'Restored', {
      ...{ ...INSTANCE, vpc: shop.vpc, snapshotIdentifier: 'before' },
      credentials: rds.SnapshotCredentials.fromGeneratedSecret('postgres'),
    });
    deployStep({ database });

    expectVariables({ DATABASE_NAME: Match.absent() });
  });

  test('of a secret of your own has precedence over that of the database', () => {
    deployStep({ database: shop.database, secret: new Secret(shop, 'DeployRole') });

    expectVariables({ DATABASE_NAME: Match.absent(), DATABASE_DEFAULT_NAME: 'shop' });
  });
});

describe('an imported cluster', () => {
  const imported = (attributes: Partial<rds.DatabaseClusterAttributes> = {}) =>
    rds.DatabaseCluster.fromDatabaseClusterAttributes(shop, 'Imported', {
      ...{ clusterIdentifier: 'shop', ...attributes },
    });

  test('without its writer endpoint is refused, with the attributes to give', () => {
    const secret = new Secret(shop, 'Secret');

    expect(() => deployStep({ database: imported(), secret })).toThrow(
      'Shop/DeployStep: the database Shop/Imported is imported without its endpoint. Give clusterEndpointAddress (the writer) and port where it is imported, or databaseOptions.host.',
    );
  });

  test('may have its host in the options', () => {
    const secret = new Secret(shop, 'Secret');
    deployStep({
      ...{ database: imported({ securityGroups: [shop.database.connections.securityGroups[0] as never] }) },
      ...{ secret, vpc: shop.vpc, databaseOptions: { host: 'writer.example', port: 6432, name: 'shop' } },
    });

    expectVariables({ DATABASE_HOST: 'writer.example', DATABASE_PORT: '6432' });
    Template.fromStack(shop).hasResourceProperties('AWS::EC2::SecurityGroupIngress', {
      ...{ FromPort: 6432, ToPort: 6432 },
    });
  });

  test('in no VPC gets a warning, because its functions cannot reach a private database', () => {
    const database = imported({ clusterEndpointAddress: 'writer.example', port: 5432 });
    const step = deployStep({ database, secret: new Secret(shop, 'Secret') });

    expect(warningsOf(step)).toEqual([expect.stringContaining('The functions run outside of a VPC')]);
  });
});

test.each([
  ['the reader endpoint', 'shop.cluster-ro-abc123.eu-west-1.rds.amazonaws.com'],
  ['a custom endpoint', 'reports.cluster-custom-abc123.eu-west-1.rds.amazonaws.com'],
])('%s of an Aurora cluster is refused, because only the writer accepts changes', (_what, host) => {
  expect(() => deployStep({ database: shop.database, databaseOptions: { host } })).toThrow(
    'databaseOptions.host: must be the writer endpoint of the Aurora cluster (NAME.cluster-ID.REGION.rds.amazonaws.com)',
  );
});

test('with IAM, resource id and name are those of the database', () => {
  deployStep({ database: shop.database, databaseOptions: { iam: { user: 'deploy' } } });

  expectVariables({ DATABASE_IAM_USER: 'deploy', DATABASE_NAME: 'shop' });
  expect(JSON.stringify(Template.fromStack(shop).findResources('AWS::IAM::Policy'))).toMatch(
    /:dbuser:",\{"Fn::GetAtt":\["Database[^"]*","DBClusterResourceId"\]\},"\/deploy/,
  );
});

test('with IAM, a database that does not know its resource id needs it', () => {
  const database = rds.DatabaseInstance.fromDatabaseInstanceAttributes(shop, 'Imported', {
    ...{ instanceIdentifier: 'shop', instanceEndpointAddress: 'db.example', port: 5432, securityGroups: [] },
  });

  expect(() => deployStep({ database, databaseOptions: { name: 'shop', iam: { user: 'deploy' } } })).toThrow(
    'Shop/DeployStep: the database Shop/Imported is imported without its resource id. Give databaseOptions.iam.resourceId (DbiResourceId or DbClusterResourceId).',
  );
});
