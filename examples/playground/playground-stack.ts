import { join } from 'node:path';
import { CfnOutput, Duration, RemovalPolicies, RemovalPolicy, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as rds from 'aws-cdk-lib/aws-rds';
import type { Construct } from 'constructs';
import { DeployStep } from 'pg-deploy-step';
import { Network } from './network.ts';
import { sessionTasks } from './session-tasks.ts';
import { WorkflowParameters } from './workflow-parameters.ts';

export interface PlaygroundStackProps extends StackProps {
  /** Folder with the migrations of the demo: see writeDemoMigrations. */
  migrations: string;
}

/** Name of the environment: part of the names of functions, state machines and parameters. */
const ENVIRONMENT_NAME = 'playground';
const SERVICE = 'api';

/**
 * Everything for a first deploy in an account: a network, Aurora Serverless v2, an ECS service that holds a database session, and the deploy
 * step with the migrations, the rows and the registry of the demo. Nothing of it is kept when the stack is deleted.
 */
export class PlaygroundStack extends Stack {
  constructor(scope: Construct, id: string, { migrations, ...props }: PlaygroundStackProps) {
    super(scope, id, {
      description: 'pg-deploy-step: a playground with a database, a service and the demo',
      ...props,
    });
    const network = new Network(this, 'Network');
    const database = this.#createDatabase(network.vpc);
    database.connections.allowDefaultPortFrom(network.functionsSecurityGroup);
    const service = this.#createService(network, database);
    const parameters = new WorkflowParameters(this, 'WorkflowParameters', {
      environmentName: ENVIRONMENT_NAME,
      services: [SERVICE],
    });
    const deployStep = new DeployStep(this, 'DeployStep', {
      ...{ environmentName: ENVIRONMENT_NAME, database },
      services: [{ service, name: SERVICE }],
      vpcSubnets: { subnets: network.vpc.isolatedSubnets },
      securityGroups: [network.functionsSecurityGroup],
      ...{ projectRoot: join(import.meta.dirname, '../..'), indexes: 'database/indexes.ts', migrations },
      logs: { retentionDays: 1 },
    });
    // The state machines, which write the parameters, are deleted before them.
    deployStep.node.addDependency(parameters);
    RemovalPolicies.of(this).destroy();
    new CfnOutput(this, 'DeployMachineArn', { value: deployStep.stateMachine.stateMachineArn });
    new CfnOutput(this, 'AlertTopicArn', { value: deployStep.topic.topicArn });
    new CfnOutput(this, 'ServiceName', { value: service.serviceName });
    new CfnOutput(this, 'ClusterName', { value: service.cluster.clusterName });
  }

  /** It pauses at 0 ACU, 5 minutes after the last session has ended. The session of the service keeps it awake. */
  #createDatabase(vpc: ec2.IVpc): rds.DatabaseCluster {
    return new rds.DatabaseCluster(this, 'Database', {
      engine: rds.DatabaseClusterEngine.auroraPostgres({ version: rds.AuroraPostgresEngineVersion.VER_17_7 }),
      writer: rds.ClusterInstance.serverlessV2('Writer', { enablePerformanceInsights: false }),
      serverlessV2MinCapacity: 0,
      serverlessV2MaxCapacity: 2,
      serverlessV2AutoPauseDuration: Duration.minutes(5),
      vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      defaultDatabaseName: 'demo',
      credentials: rds.Credentials.fromGeneratedSecret('deployer'),
      storageEncrypted: true,
      // The shortest that Aurora accepts. The backups are deleted together with the cluster.
      backup: { retention: Duration.days(1) },
      deleteAutomatedBackups: true,
      deletionProtection: false,
      removalPolicy: RemovalPolicy.DESTROY,
    });
  }

  #createService(network: Network, database: rds.DatabaseCluster): ecs.FargateService {
    const { vpc } = network;
    const taskDefinition = sessionTasks(this, 'Tasks', {
      ...{ secret: database.secret, applicationName: 'playground-api' },
      ...{ secondsAfterSigterm: 5, stopTimeout: Duration.seconds(30) },
    });
    const service = new ecs.FargateService(this, 'Service', {
      cluster: new ecs.Cluster(this, 'Cluster', { vpc }),
      taskDefinition,
      minHealthyPercent: 0,
      maxHealthyPercent: 200,
      circuitBreaker: { enable: true },
      // The image comes from a public registry, and a NAT gateway costs more than the address.
      assignPublicIp: true,
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
    });
    database.connections.allowDefaultPortFrom(service);
    network.allowSecrets(service);
    // The role may read the secret only when its policy exists. The rule for the port belongs to the cluster, and names the service.
    service.node.addDependency(taskDefinition.obtainExecutionRole(), database.node.findChild('Writer'));
    return service;
  }
}
