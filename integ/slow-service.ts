import { Duration } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as elb from 'aws-cdk-lib/aws-elasticloadbalancingv2';
import type { DatabaseInstance } from 'aws-cdk-lib/aws-rds';
import { Construct } from 'constructs';
import { sessionTasks } from '../examples/playground/session-tasks.ts';

export interface SlowServiceProps {
  vpc: ec2.IVpc;
  database: DatabaseInstance;
}

export const CLUSTER = 'pg-deploy-step-integ';
export const SERVICE = 'slow';
/** Tasks of the service, before and after a deploy. */
export const TASKS = 2;
/** How long the load balancer deregisters a task before the task gets SIGTERM. */
const DEREGISTRATION_DELAY = Duration.minutes(2);
/** The longest that Fargate allows between SIGTERM and SIGKILL. */
const STOP_TIMEOUT = Duration.seconds(120);
/** How long the task continues after SIGTERM, in seconds. */
const SECONDS_AFTER_SIGTERM = 90;

/** The migrations of the test search for sessions with this name: see database/migrations. */
export const APPLICATION_NAME = 'pg-deploy-step-integ-service';

/**
 * An ECS service on Fargate whose tasks stop slowly. After the desired count is 0, each task is DEACTIVATING for two minutes,
 * then STOPPING for 90 seconds. It is in no count of the service meanwhile, and still holds its database session.
 *
 * Its scaling has no policies. The deploy suspends it, and resumes it afterwards.
 */
export class SlowService extends Construct implements ec2.IConnectable {
  readonly connections: ec2.Connections;

  constructor(scope: Construct, id: string, { vpc, database }: SlowServiceProps) {
    super(scope, id);
    const taskDefinition = this.#taskDefinition(database);
    const service = new ecs.FargateService(this, 'Service', {
      cluster: new ecs.Cluster(this, 'Cluster', { vpc, clusterName: CLUSTER }),
      serviceName: SERVICE,
      taskDefinition,
      desiredCount: TASKS,
      minHealthyPercent: 50,
      circuitBreaker: { enable: true },
      // A network load balancer needs minutes until it calls a new target healthy.
      healthCheckGracePeriod: Duration.minutes(3),
      // The images come from a public registry, and a NAT gateway costs more than the addresses.
      assignPublicIp: true,
      vpcSubnets: { subnetType: ec2.SubnetType.PUBLIC },
    });
    this.connections = service.connections;
    database.connections.allowDefaultPortFrom(service);
    // The role may read the secret only when its policy exists.
    service.node.addDependency(taskDefinition.obtainExecutionRole());
    service.autoScaleTaskCount({ minCapacity: TASKS, maxCapacity: TASKS + 1 });
    this.#balance(vpc, service);
  }

  #taskDefinition(database: DatabaseInstance): ecs.TaskDefinition {
    return sessionTasks(this, 'Tasks', {
      ...{ secret: database.secret, applicationName: APPLICATION_NAME },
      ...{ secondsAfterSigterm: SECONDS_AFTER_SIGTERM, stopTimeout: STOP_TIMEOUT },
      first: {
        image: ecs.ContainerImage.fromRegistry('public.ecr.aws/nginx/nginx:stable-alpine'),
        portMappings: [{ containerPort: 80 }],
      },
    });
  }

  /** Nobody uses the load balancer. It deregisters the tasks before they stop, and reports their health after the start. */
  #balance(vpc: ec2.IVpc, service: ecs.FargateService): void {
    const securityGroup = new ec2.SecurityGroup(this, 'BalancerSecurityGroup', {
      vpc,
      description: 'The load balancer of the slow service',
    });
    service.connections.allowFrom(securityGroup, ec2.Port.tcp(80));
    new elb.NetworkLoadBalancer(this, 'Balancer', {
      vpc,
      vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_ISOLATED },
      internetFacing: false,
      securityGroups: [securityGroup],
    })
      .addListener('Listener', { port: 80 })
      .addTargets('Target', {
        port: 80,
        targets: [service.loadBalancerTarget({ containerName: 'web', containerPort: 80 })],
        deregistrationDelay: DEREGISTRATION_DELAY,
        healthCheck: { interval: Duration.seconds(10), healthyThresholdCount: 2 },
      });
  }
}
