import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { Construct } from 'constructs';
import type { EcsService } from '../config/environment.ts';

/** A configured service as the machines carry it through their states. */
export interface ServiceTarget {
  /** What reports call it. */
  name: string;
  cluster: string;
  service: string;
  scaling: boolean;
  /** Application Auto Scaling's name for it. */
  resourceId: string;
  /** SSM parameter that remembers its desired count while it is stopped. */
  parameter: string;
}

/** The services of an environment, with what Step Functions may do to them. */
export interface ServiceTargets {
  readonly targets: ServiceTarget[];
  readonly serviceArns: string[];
  readonly parameterArns: string[];
  readonly scalableTargetArns: string[];
  /** Looks at a service until the deadline, counted in looks. */
  readonly pollSeconds: number;
}

export function serviceTargetsOf(
  scope: Construct,
  environmentName: string,
  services: readonly EcsService[],
  pollSeconds: number,
): ServiceTargets {
  const stack = Stack.of(scope);
  const targets = services.map((service) => ({
    name: service.name,
    cluster: service.cluster,
    service: service.service,
    scaling: service.scaling,
    resourceId: `service/${service.cluster}/${service.service}`,
    parameter: `/pg-deploy-step/${environmentName}/services/${service.name}`,
  }));
  return {
    targets,
    pollSeconds,
    serviceArns: targets.map((target) =>
      stack.formatArn({
        service: 'ecs',
        resource: 'service',
        resourceName: `${target.cluster}/${target.service}`,
        arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
      }),
    ),
    parameterArns: targets.map((target) =>
      stack.formatArn({ service: 'ssm', resource: 'parameter', resourceName: target.parameter.slice(1) }),
    ),
    // A scalable target's ARN ends in an id that only its registration tells.
    scalableTargetArns: [
      stack.formatArn({ service: 'application-autoscaling', resource: 'scalable-target', resourceName: '*' }),
    ],
  };
}

/** How many looks fit into a deadline, at least one. */
export function looksWithin(minutes: number, pollSeconds: number): number {
  return Math.max(1, Math.ceil((minutes * 60) / pollSeconds));
}
