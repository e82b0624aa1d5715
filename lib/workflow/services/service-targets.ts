import { JsonPath } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { DEPLOYMENT_POLLS, type Environment } from '../../config/environment-config.ts';
import type { Service } from '../../config/services-config.ts';
import { checksWithin } from '../wait-until.ts';
import { EcsServices } from './ecs-services.ts';
import { EventRules } from './event-rules.ts';
import { EventSourceMappings } from './event-source-mappings.ts';
import { markerName, type ParameterName, parameterArn, savedStateName } from './saved-state.ts';
import type { ServiceKind, WaitLimits } from './service-kind.ts';

/** The services of an environment as the state machines use them. */
export interface ServiceTargets {
  /** The items of the Maps: a service's configuration and the name of its parameter. */
  readonly items: Record<string, unknown>[];
  /** Those that have a desired count. */
  readonly counted: Record<string, unknown>[];
  /** The kinds of the configured services. */
  readonly kinds: ServiceKind[];
  /** The parameter with the saved state of the service in `$.service`. */
  readonly savedState: ParameterName;
  /** The parameter that exists while services are left stopped deliberately. */
  readonly marker: ParameterName;
}

export function serviceTargetsOf(
  scope: Construct,
  environmentName: string,
  environment: Environment,
): ServiceTargets {
  const { services, deploymentMinutes, stopMinutes, startMinutes, pollSeconds } = environment;
  const deploymentPollSeconds = DEPLOYMENT_POLLS * pollSeconds;
  const limits: WaitLimits = {
    deploymentChecks: Math.ceil((deploymentMinutes * 60) / deploymentPollSeconds),
    deploymentPollSeconds,
    stopChecks: checksWithin(stopMinutes * 60, pollSeconds),
    startChecks: checksWithin(startMinutes * 60, pollSeconds),
    pollSeconds,
  };
  const of = <Kind extends Service['kind']>(kind: Kind) =>
    services.filter((service): service is Extract<Service, { kind: Kind }> => service.kind === kind);
  const kinds: ServiceKind[] = [
    new EcsServices(of('ecs'), limits),
    new EventRules(of('event-rule'), limits),
    new EventSourceMappings(of('event-source-mapping'), limits),
  ];
  const marker = markerName(environmentName);
  const items = services.map((service) => ({
    ...service,
    ...(service.kind === 'ecs' && { resourceId: `service/${service.cluster}/${service.service}` }),
    parameter: savedStateName(environmentName, service.name),
  }));
  const hasCount = kinds.filter((kind) => kind.checkCount !== undefined).map(({ kind }) => kind);
  return {
    items,
    counted: items.filter(({ kind }) => hasCount.includes(kind)),
    kinds: kinds.filter((kind) => kind.isUsed),
    savedState: {
      name: JsonPath.stringAt('$.service.parameter'),
      arns: services.map((service) => parameterArn(scope, savedStateName(environmentName, service.name))),
    },
    marker: { name: marker, arns: [parameterArn(scope, marker)] },
  };
}
