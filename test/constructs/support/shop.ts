import { App, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as rds from 'aws-cdk-lib/aws-rds';
import type { CompiledFiles } from '../../../lib/compile/compiled-files.ts';

/** No index and no migration: most tests are not about them, and compiling takes a process. */
export const NO_FILES: CompiledFiles = { registry: [], migrations: null, notes: [], findings: [] };

/** A product on ECS and Aurora, without a deploy step. */
export class Shop extends Stack {
  readonly vpc: ec2.Vpc;
  readonly database: rds.DatabaseCluster;
  readonly cluster: ecs.Cluster;
  readonly api: ecs.FargateService;

  constructor(app: App, id = 'Shop') {
    super(app, id);
    this.vpc = new ec2.Vpc(this, 'Vpc', { maxAzs: 2 });
    this.database = new rds.DatabaseCluster(this, 'Database', {
      engine: rds.DatabaseClusterEngine.auroraPostgres({
        version: rds.AuroraPostgresEngineVersion.VER_16_4,
      }),
      writer: rds.ClusterInstance.serverlessV2('Writer'),
      defaultDatabaseName: 'shop',
      vpc: this.vpc,
    });
    this.cluster = new ecs.Cluster(this, 'Cluster', { vpc: this.vpc });
    this.api = this.addService('Api');
  }

  addService(id: string): ecs.FargateService {
    const taskDefinition = new ecs.FargateTaskDefinition(this, `${id}Task`);
    taskDefinition.addContainer('app', { image: ecs.ContainerImage.fromRegistry('nginx') });
    return new ecs.FargateService(this, id, {
      ...{ cluster: this.cluster, taskDefinition, minHealthyPercent: 100 },
      circuitBreaker: { rollback: true },
    });
  }
}

/** An app whose output is deleted with the folder of the test run. */
export function newApp(outdir: string): App {
  return new App({ outdir, analyticsReporting: false, builtinCloudFormationValidation: false });
}
