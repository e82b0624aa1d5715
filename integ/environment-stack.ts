import { Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as rds from 'aws-cdk-lib/aws-rds';
import { AwsCustomResource, AwsCustomResourcePolicy, PhysicalResourceId } from 'aws-cdk-lib/custom-resources';
import type { Construct } from 'constructs';
import { SlowService } from './slow-service.ts';

export interface EnvironmentStackProps {
  /** Parameters that the workflow writes, which are deleted together with this stack. */
  parameters: readonly string[];
}

/**
 * What an environment has before pg-deploy-step is added to it: a network, a database and a service.
 * - No NAT gateway. The functions reach AWS through two interface endpoints. The tasks have public addresses for their images.
 * - The database has no copy in another zone, no backups and no final snapshot.
 */
export class EnvironmentStack extends Stack {
  readonly vpc: ec2.Vpc;
  readonly functionsSecurityGroup: ec2.SecurityGroup;
  readonly database: rds.DatabaseInstance;

  constructor(scope: Construct, id: string, props: EnvironmentStackProps) {
    super(scope, id, { description: 'pg-deploy-step: network, database and service of the test on AWS' });
    this.vpc = new ec2.Vpc(this, 'Vpc', {
      maxAzs: 2,
      natGateways: 0,
      subnetConfiguration: [
        { name: 'public', subnetType: ec2.SubnetType.PUBLIC },
        { name: 'isolated', subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      ],
    });
    this.functionsSecurityGroup = new ec2.SecurityGroup(this, 'FunctionsSecurityGroup', {
      vpc: this.vpc,
      description: 'The functions of pg-deploy-step',
    });
    this.database = this.#createDatabase();
    this.database.connections.allowDefaultPortFrom(this.functionsSecurityGroup);
    const service = new SlowService(this, 'Service', { vpc: this.vpc, database: this.database });
    const { SECRETS_MANAGER, STEP_FUNCTIONS } = ec2.InterfaceVpcEndpointAwsService;
    // The private name of an endpoint is valid for the tasks too, which read the secret when they start.
    const secrets = this.#addEndpoint('SecretsManager', SECRETS_MANAGER, service);
    if (secrets.node.defaultChild !== undefined) service.node.addDependency(secrets.node.defaultChild);
    this.#addEndpoint('StepFunctions', STEP_FUNCTIONS);
    this.#deleteAtTheEnd(props.parameters);
  }

  /** In one zone: an endpoint is paid for in each zone, and its private name is valid in the whole network. */
  #addEndpoint(
    id: string,
    service: ec2.IInterfaceVpcEndpointService,
    ...others: ec2.IConnectable[]
  ): ec2.InterfaceVpcEndpoint {
    const subnets = { subnets: this.vpc.isolatedSubnets.slice(0, 1) };
    const endpoint = this.vpc.addInterfaceEndpoint(id, { service, subnets, open: false });
    for (const user of [this.functionsSecurityGroup, ...others])
      endpoint.connections.allowDefaultPortFrom(user);
    return endpoint;
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

  /** The workflow keeps the lock of the deploy, and after a failure more. The state machines are deleted before this stack. */
  #deleteAtTheEnd(parameters: readonly string[]): void {
    new AwsCustomResource(this, 'Parameters', {
      onCreate: {
        service: 'SSM',
        action: 'getParameters',
        parameters: { Names: parameters },
        physicalResourceId: PhysicalResourceId.of('parameters'),
      },
      onDelete: { service: 'SSM', action: 'deleteParameters', parameters: { Names: parameters } },
      policy: AwsCustomResourcePolicy.fromSdkCalls({
        resources: parameters.map((name) =>
          this.formatArn({ service: 'ssm', resource: 'parameter', resourceName: name.slice(1) }),
        ),
      }),
      installLatestAwsSdk: false,
      logGroup: new logs.LogGroup(this, 'ParametersLogs', {
        retention: logs.RetentionDays.ONE_DAY,
        removalPolicy: RemovalPolicy.DESTROY,
      }),
    });
  }
}
