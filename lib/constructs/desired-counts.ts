import { Annotations, Aspects, CfnResource, Stack } from 'aws-cdk-lib';
import type { IBaseService } from 'aws-cdk-lib/aws-ecs';
import type { Construct, IConstruct } from 'constructs';

/**
 * Warns of each ECS service of this app whose template sets DesiredCount: CloudFormation sets it again with each update of the
 * service, also while a deploy has stopped it. The templates are read at synth, when the app has changed all of them.
 * @param construct gets the warnings
 */
export function warnOfDesiredCounts(construct: Construct, services: readonly IBaseService[]): void {
  Aspects.of(construct).add({
    visit: (node) => {
      if (node !== construct) return;
      for (const service of services) warnOf(construct, service);
    },
  });
}

function warnOf(construct: Construct, service: IBaseService): void {
  const count = desiredCountOf(service);
  if (count === undefined) return;
  // It can be a parameter, whose value only CloudFormation knows.
  const value = typeof count === 'number' ? ` (${count})` : '';
  Annotations.of(construct).addWarningV2(
    'pg-deploy-step:desired-count',
    `The ECS service ${service.node.path} sets DesiredCount${value} in its template. CloudFormation sets it again whenever it updates the service: ` +
      'inside the maintenance window the deploy would fail, and in a hold ("start": "hold") the tasks would start before start-services. ' +
      'Remove desiredCount: then CloudFormation keeps the count that the service has, and a new service gets 1. ' +
      '(For services of aws-ecs-patterns, set the feature flag @aws-cdk/aws-ecs-patterns:removeDefaultDesiredCount.)',
  );
}

/** What the template will contain, overrides included. Undefined: nothing, or the service is not part of this app. */
function desiredCountOf(service: IBaseService): unknown {
  const resource = service.node.children.find(isServiceResource);
  if (resource === undefined) return undefined;
  // The CDK's types hide this method, and there is no other way to see overrides.
  const { _toCloudFormation } = resource as unknown as { _toCloudFormation(): object };
  const { Resources = {} } = Stack.of(resource).resolve(_toCloudFormation.call(resource)) as {
    Resources?: Record<string, { Properties?: { DesiredCount?: unknown } }>;
  };
  const [count] = Object.values(Resources).map(({ Properties }) => Properties?.DesiredCount);
  return (count as { Ref?: unknown } | undefined)?.Ref === 'AWS::NoValue' ? undefined : count;
}

function isServiceResource(node: IConstruct): node is CfnResource {
  return CfnResource.isCfnResource(node) && node.cfnResourceType === 'AWS::ECS::Service';
}
