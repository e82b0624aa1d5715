import { JsonPath } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { DEPLOYMENT_POLLS, type Environment } from '../../config/environment-config.ts';
import type { ResourceNames } from '../../config/resource-names.ts';
import { resourceKey, type Service } from '../../config/services-config.ts';
import { checksWithin } from '../wait-until.ts';
import { CustomServices } from './custom-services.ts';
import { EcsServices } from './ecs-services.ts';
import { EventRules } from './event-rules.ts';
import { EventSourceMappings } from './event-source-mappings.ts';
import {
  completedName,
  incidentsPath,
  markerName,
  type ParameterName,
  parameterArn,
  recoveryFailureName,
  recoveryLockName,
  savedStateName,
  savedStatesPath,
} from './saved-state.ts';
import { Schedules } from './schedules.ts';
import type { ServiceKind, WaitLimits } from './service-kind.ts';

/** The services of an environment as the state machines use them. */
export interface ServiceTargets {
  readonly environmentName: string;
  /** The items of the Maps: a service's configuration, its resource and the name of its parameter. */
  readonly items: Record<string, unknown>[];
  /** Names of the ECS services for which the input can name a revision. */
  readonly withRevisions: string[];
  /** Those of the items that have a desired count. */
  readonly counted: Record<string, unknown>[];
  /** The kinds of the configured services. */
  readonly kinds: ServiceKind[];
  /** All kinds: a saved state can belong to a service that is no longer configured. */
  readonly allKinds: ServiceKind[];
  /** The path that contains the saved states. */
  readonly savedStatesPath: string;
  /** The parameter with the saved state of the service in `$.service`, which is configured. */
  readonly savedState: ParameterName;
  /** The parameter in `$.parameter`: the saved state of any service, also of one that is no longer configured. */
  readonly anySavedState: ParameterName;
  /** The parameter that exists while services are left stopped deliberately. */
  readonly marker: ParameterName;
  /** The last deploy that named revisions and ended its window. */
  readonly completed: ParameterName;
  /** What the recovery has done for the service in `$.name`. */
  readonly incident: ParameterName;
  /** The lock of the recovery. */
  readonly recoveryLock: ParameterName;
  /** The parameter that exists after a recovery has failed. */
  readonly recoveryFailure: ParameterName;
  /** Name of the rule whose schedule starts the recovery while a state is saved. */
  readonly reconcileRule: string;
  /** Namespace of the metric of stopped services. Undefined: no alarm needs it. */
  readonly stoppedNamespace: string | undefined;
}

export function serviceTargetsOf(
  scope: Construct,
  names: ResourceNames,
  environment: Environment,
): ServiceTargets {
  const { services } = environment;
  const limits = waitLimitsOf(environment);
  const of = <Kind extends Service['kind']>(kind: Kind) =>
    services.filter((service): service is Extract<Service, { kind: Kind }> => service.kind === kind);
  const parameter = (name: string): ParameterName => ({ name, arns: [parameterArn(scope, name)] });
  const completed = parameter(completedName(names));
  const kinds: ServiceKind[] = [
    new EcsServices(of('ecs'), limits, completed),
    new EventRules(of('event-rule'), limits),
    new EventSourceMappings(of('event-source-mapping'), limits),
    new Schedules(of('schedule'), limits),
    new CustomServices(of('custom'), limits, names.environmentName),
  ];
  const incidents = incidentsPath(names);
  const items = services.map((service) => ({
    ...service,
    ...(service.kind === 'ecs' && { resourceId: `service/${service.cluster}/${service.service}` }),
    // Compared with that of the schedule: a path to a missing field would fail the execution.
    ...(service.kind === 'schedule' && { key: service.key ?? '' }),
    resource: resourceKey(service),
    parameter: savedStateName(names, service.name),
  }));
  const hasCount = kinds.filter((kind) => kind.checkCount !== undefined).map(({ kind }) => kind);
  return {
    environmentName: names.environmentName,
    items,
    withRevisions: of('ecs').flatMap(({ name, roles }) => (roles === undefined ? [] : [name])),
    counted: items.filter(({ kind }) => hasCount.includes(kind)),
    kinds: kinds.filter((kind) => kind.isUsed),
    allKinds: kinds,
    savedStatesPath: savedStatesPath(names),
    savedState: {
      name: JsonPath.stringAt('$.service.parameter'),
      arns: services.map((service) => parameterArn(scope, savedStateName(names, service.name))),
    },
    anySavedState: {
      name: JsonPath.stringAt('$.parameter'),
      arns: [parameterArn(scope, `${savedStatesPath(names)}/*`)],
    },
    marker: parameter(markerName(names)),
    completed,
    incident: {
      name: JsonPath.format(`${incidents}/{}`, JsonPath.stringAt('$.name')),
      arns: [parameterArn(scope, `${incidents}/*`)],
    },
    recoveryLock: parameter(recoveryLockName(names)),
    recoveryFailure: parameter(recoveryFailureName(names)),
    reconcileRule: names.rules.reconcile,
    stoppedNamespace: environment.alarms ? names.metricNamespace : undefined,
  };
}

/** Events that one check of a starting service adds to the history of an execution, with two target groups. */
const EVENTS_PER_START_CHECK = 41;
/** The history of an execution has at most 25,000 events. */
const MAX_START_EVENTS = 18_000;

/** The deadlines of an environment as numbers of checks. */
function waitLimitsOf({
  services,
  deploymentMinutes,
  stopMinutes,
  startMinutes,
  pollSeconds,
  steadyChecks,
}: Environment): WaitLimits {
  const startSeconds = startMinutes * 60;
  // With many services the pauses become longer, because all of them start in one execution.
  const checksOfEach = MAX_START_EVENTS / EVENTS_PER_START_CHECK / Math.max(1, services.length);
  const startPollSeconds = Math.max(pollSeconds, Math.ceil(startSeconds / checksOfEach));
  const deploymentPollSeconds = DEPLOYMENT_POLLS * pollSeconds;
  return {
    deploymentChecks: Math.ceil((deploymentMinutes * 60) / deploymentPollSeconds),
    deploymentPollSeconds,
    stopChecks: checksWithin(stopMinutes * 60, pollSeconds),
    startChecks: Math.max(steadyChecks, checksWithin(startSeconds, startPollSeconds)),
    steadyChecks,
    pollSeconds,
    startPollSeconds,
  };
}
