import { JsonPath } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Environment, Service } from '../../config/environment-config.ts';
import { EcsServices } from './ecs-services.ts';
import { EventRules } from './event-rules.ts';
import { EventSourceMappings } from './event-source-mappings.ts';
import { markerName, memoryName, type ParameterName, parameterArn } from './saved-state.ts';
import type { Patience, ServiceKind } from './service-kind.ts';

/** The services of an environment as the machines see them. */
export interface ServiceTargets {
  /** The items of the Maps: a service's configuration, and the parameter that remembers it. */
  readonly items: Record<string, unknown>[];
  /** The kinds that there are services of. */
  readonly kinds: ServiceKind[];
  /** The parameter of the service in `$.service`. */
  readonly memory: ParameterName;
  readonly marker: ParameterName;
}

export function serviceTargetsOf(
  scope: Construct,
  environmentName: string,
  environment: Environment,
): ServiceTargets {
  const { services, stopMinutes, startMinutes, pollSeconds } = environment;
  const patience: Patience = {
    stopLooks: looksWithin(stopMinutes, pollSeconds),
    startLooks: looksWithin(startMinutes, pollSeconds),
    pollSeconds,
  };
  const of = <Kind extends Service['kind']>(kind: Kind) =>
    services.filter((service): service is Extract<Service, { kind: Kind }> => service.kind === kind);
  const kinds: ServiceKind[] = [
    new EcsServices(of('ecs'), patience),
    new EventRules(of('event-rule'), patience),
    new EventSourceMappings(of('event-source-mapping'), patience),
  ];
  const marker = markerName(environmentName);
  return {
    items: services.map((service) => ({
      ...service,
      ...(service.kind === 'ecs' && { resourceId: `service/${service.cluster}/${service.service}` }),
      parameter: memoryName(environmentName, service.name),
    })),
    kinds: kinds.filter((kind) => kind.isUsed),
    memory: {
      name: JsonPath.stringAt('$.service.parameter'),
      arns: services.map((service) => parameterArn(scope, memoryName(environmentName, service.name))),
    },
    marker: { name: marker, arns: [parameterArn(scope, marker)] },
  };
}

/** How many looks fit into a deadline, at least one. */
function looksWithin(minutes: number, pollSeconds: number): number {
  return Math.max(1, Math.ceil((minutes * 60) / pollSeconds));
}
