import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as rds from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import { Network } from '../examples/playground/network.ts';
import {
  WorkflowParameters,
  type WorkflowParametersProps,
} from '../examples/playground/workflow-parameters.ts';
import { SlowService } from './slow-service.ts';

export interface EnvironmentStackProps {
  /** The workflow whose parameters are deleted together with this stack. */
  workflow: WorkflowParametersProps;
}

/**
 * What an environment has before pg-deploy-step is added to it: a network, a database and a service.
 * - The database has no copy in another zone, no backups and no final snapshot.
 */
export class EnvironmentStack extends Stack {
  readonly vpc: ec2.Vpc;
  readonly functionsSecurityGroup: ec2.SecurityGroup;
  readonly database: rds.DatabaseInstance;

  constructor(scope: Construct, id: string, props: EnvironmentStackProps) {
    super(scope, id, { description: 'pg-deploy-step: network, database and service of the test on AWS' });
    const network = new Network(this, 'Network');
    this.vpc = network.vpc;
    this.functionsSecurityGroup = network.functionsSecurityGroup;
    this.database = this.#createDatabase();
    this.database.connections.allowDefaultPortFrom(this.functionsSecurityGroup);
    network.allowSecrets(new SlowService(this, 'Service', { vpc: this.vpc, database: this.database }));
    // The state machines are deleted before this stack.
    new WorkflowParameters(this, 'Parameters', props.workflow);
  }

  #createDatabase(): rds.DatabaseInstance {
    return new rds.DatabaseInstance(this, 'Database', {
      engine: rds.DatabaseInstanceEngine.postgres({ version: rds.PostgresEngineVersion.VER_17 }),
      instanceType: ec2.InstanceType.of(ec2.InstanceClass.T4G, ec2.InstanceSize.MICRO),
      vpc: this.vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      allocatedStorage: 20,
      storageType: rds.StorageType.GP3,
      storageEncrypted: true,
      databaseName: 'shop',
      credentials: rds.Credentials.fromGeneratedSecret('deployer'),
      backupRetention: Duration.days(0),
      deleteAutomatedBackups: true,
      deletionProtection: false,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }
}
