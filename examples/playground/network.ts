import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { Construct } from 'constructs';

/**
 * A network without a NAT gateway: public subnets for tasks, which get public addresses for their images, and isolated subnets for the
 * database and the functions, which reach AWS through two interface endpoints.
 */
export class Network extends Construct {
  readonly vpc: ec2.Vpc;
  readonly functionsSecurityGroup: ec2.SecurityGroup;
  readonly #secrets: ec2.InterfaceVpcEndpoint;

  constructor(scope: Construct, id: string) {
    super(scope, id);
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
    const { SECRETS_MANAGER, STEP_FUNCTIONS } = ec2.InterfaceVpcEndpointAwsService;
    this.#secrets = this.#addEndpoint('SecretsManager', SECRETS_MANAGER);
    this.#addEndpoint('StepFunctions', STEP_FUNCTIONS);
  }

  /** Lets the tasks of a service read secrets when they start: the private name of the endpoint is valid for them too. */
  allowSecrets(service: ec2.IConnectable & Construct): void {
    this.#secrets.connections.allowDefaultPortFrom(service);
    const { defaultChild } = this.#secrets.node;
    if (defaultChild !== undefined) service.node.addDependency(defaultChild);
  }

  /** In one zone: an endpoint is paid for in each zone, and its private name is valid in the whole network. */
  #addEndpoint(id: string, service: ec2.IInterfaceVpcEndpointService): ec2.InterfaceVpcEndpoint {
    const subnets = { subnets: this.vpc.isolatedSubnets.slice(0, 1) };
    const endpoint = this.vpc.addInterfaceEndpoint(id, { service, subnets, open: false });
    endpoint.connections.allowDefaultPortFrom(this.functionsSecurityGroup);
    return endpoint;
  }
}
