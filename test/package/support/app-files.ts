/*
 * The files of a CDK app with a product on ECS and Aurora, as a user writes them: two stacks, one for each environment.
 */

const STACK = `
class Shop extends Stack {
  constructor(scope: Construct, id: string) {
    super(scope, id);
    const vpc = new ec2.Vpc(this, 'Vpc', { maxAzs: 2 });
    const database = new rds.DatabaseCluster(this, 'Database', {
      engine: rds.DatabaseClusterEngine.auroraPostgres({ version: rds.AuroraPostgresEngineVersion.VER_16_4 }),
      writer: rds.ClusterInstance.serverlessV2('Writer'),
      defaultDatabaseName: 'shop',
      vpc,
    });
    const cluster = new ecs.Cluster(this, 'Cluster', { vpc });
    const taskDefinition = new ecs.FargateTaskDefinition(this, 'Task');
    taskDefinition.addContainer('app', { image: ecs.ContainerImage.fromRegistry('nginx') });
    const api = new ecs.FargateService(this, 'Api', { cluster, taskDefinition });
    new DeployStep(this, 'DeployStep', { database, services: [api] });
  }
}

const app = new App();
new Shop(app, 'Shop-Dev');
new Shop(app, 'Shop-Prod');
`;

export const APP = `import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as rds from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import { DeployStep } from 'pg-deploy-step';
${STACK}`;

/** What the application's migrations were before: the index is imported from here into the registry. */
export const LEGACY = `create table orders (id bigint primary key, tenant_id bigint not null, status text not null);
create index idx_orders_status on orders (tenant_id, status);
`;

export const MIGRATION =
  'create table orders (id bigint primary key, tenant_id bigint not null, status text not null);\n';

/** A tsconfig.json of `cdk init` before 2026: module resolution without the exports of packages. */
export const OLD_TSCONFIG = {
  compilerOptions: {
    ...{ target: 'ES2020', module: 'commonjs', lib: ['es2020', 'dom'], strict: true, noEmit: true },
    ...{ inlineSourceMap: true, inlineSources: true, experimentalDecorators: true, esModuleInterop: true },
    ...{ typeRoots: ['./node_modules/@types'] },
  },
  exclude: ['node_modules', 'cdk.out'],
};

/** Of an app that is an ES module. Node.js runs its TypeScript. The types of packages are checked too. */
export const ESM_TSCONFIG = {
  compilerOptions: {
    ...{
      target: 'ES2022',
      module: 'nodenext',
      strict: true,
      noEmit: true,
      types: ['node'],
      skipLibCheck: false,
    },
    ...{ typeRoots: ['../node_modules/@types'] },
  },
};
