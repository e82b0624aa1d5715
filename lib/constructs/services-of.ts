import type { IBaseService } from 'aws-cdk-lib/aws-ecs';
import { CfnSchedule } from 'aws-cdk-lib/aws-scheduler';
import type { IConstruct } from 'constructs';
import { ConfigurationError } from '../config/configuration-error.ts';
import { type EcsService, resourceKey, type Service } from '../config/services-config.ts';
import type { EcsServiceProps, ScheduleProps, StoppedService, TaskRoles } from './deploy-step-props.ts';

/** A service with names that only CloudFormation may know, and how to read what the app says about it later. */
export interface ResolvedService {
  readonly service: Service;
  /** The ECS service of this app whose scaling was detected. Undefined: `scaling` was given. */
  readonly detected: IBaseService | undefined;
  /** The object of an ECS service. Undefined: another kind, or only its names are known. */
  readonly construct?: IBaseService;
}

/** Ids that say nothing about the service: the scope that contains it does. */
const NAMELESS = ['Service', 'Resource', 'Default'];

/** @throws ConfigurationError when a resource appears twice */
export function servicesOf(given: readonly StoppedService[]): ResolvedService[] {
  const services = given.map(serviceOf);
  const keys = services.map(({ service }) => resourceKey(service));
  const twice = keys.findIndex((key, at) => keys.indexOf(key) !== at);
  if (twice !== -1) {
    const name = services[twice]?.service.name;
    throw new ConfigurationError(
      `services.${twice}: "${name}" is already in the list: remove one of the two.`,
    );
  }
  return services;
}

function serviceOf(given: StoppedService): ResolvedService {
  if ('serviceArn' in given) return ecsServiceOf({ service: given });
  if ('kind' in given) {
    return { service: withDefaults(given), detected: undefined };
  }
  if ('function' in given) {
    const { name, function: fn } = given;
    return { service: { kind: 'custom', name, function: fn.functionArn }, detected: undefined };
  }
  if ('schedule' in given) return { service: scheduleOf(given), detected: undefined };
  if ('mapping' in given) {
    const { mapping, name = nameOf(mapping) } = given;
    return {
      service: { kind: 'event-source-mapping', name, uuid: mapping.eventSourceMappingId },
      detected: undefined,
    };
  }
  if ('rule' in given) {
    const { rule, eventBus, name = nameOf(rule) } = given;
    return {
      service: {
        kind: 'event-rule',
        name,
        rule: rule.ruleName,
        eventBus: eventBus?.eventBusName ?? 'default',
      },
      detected: undefined,
    };
  }
  if (typeof given.service !== 'string') return ecsServiceOf(given as EcsServiceProps);
  const {
    name,
    cluster,
    service,
    scaling = false,
    roles,
  } = given as Extract<StoppedService, { cluster: string }>;
  return {
    service: { kind: 'ecs', name, cluster, service, scaling, ...(roles && { roles: { ...roles } }) },
    detected: undefined,
  };
}

/** The roles as in cdk.json. */
function rolesOf(roles: TaskRoles | undefined): Pick<EcsService, 'roles'> {
  if (roles === undefined) return {};
  const { taskRole, executionRole } = roles;
  return {
    roles: { task: taskRole?.roleArn ?? 'none', execution: executionRole?.roleArn ?? 'none' },
  };
}

function withDefaults(given: Extract<StoppedService, { kind: string }>): Service {
  switch (given.kind) {
    case 'event-rule':
      return { ...given, eventBus: given.eventBus ?? 'default' };
    case 'schedule':
      return { ...given, group: given.group ?? 'default' };
    default:
      return given;
  }
}

/** @throws ConfigurationError when the role is not given, and the schedule is not of this app */
function scheduleOf({ schedule, name = nameOf(schedule), role, key }: ScheduleProps): Service {
  const resource = schedule.node.defaultChild;
  const found = resource instanceof CfnSchedule ? resource : undefined;
  const target = found?.target as CfnSchedule.TargetProperty | undefined;
  const roleArn = role?.roleArn ?? target?.roleArn;
  if (roleArn === undefined) {
    throw new ConfigurationError(
      `services: the schedule "${name}" was not created in this app, so "role" is needed: the role with which it invokes its target.`,
    );
  }
  const keyArn = key?.keyArn ?? found?.kmsKeyArn;
  return {
    kind: 'schedule',
    name,
    schedule: schedule.scheduleName,
    group: schedule.scheduleGroup?.scheduleGroupName ?? found?.groupName ?? 'default',
    role: roleArn,
    ...(keyArn !== undefined && { key: keyArn }),
  };
}

function ecsServiceOf({ service, name = nameOf(service), scaling, roles }: EcsServiceProps): ResolvedService {
  return {
    service: {
      kind: 'ecs',
      name,
      cluster: service.cluster.clusterName,
      service: service.serviceName,
      scaling: scaling ?? hasScaling(service),
      ...rolesOf(roles),
    },
    detected: scaling === undefined ? service : undefined,
    construct: service,
  };
}

/** Whether `autoScaleTaskCount` was called: it creates a child with this id. */
export function hasScaling(service: IBaseService): boolean {
  return service.node.tryFindChild('TaskCount') !== undefined;
}

function nameOf({ node }: IConstruct): string {
  const id = NAMELESS.includes(node.id) ? (node.scope?.node.id ?? node.id) : node.id;
  return id.replaceAll(/[^A-Za-z0-9_-]/g, '-').replace(/^[-_]+/, '');
}
