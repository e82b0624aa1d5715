import { randomInt } from 'node:crypto';
import { z } from 'zod';
import { localArn } from '../local-arns.ts';
import { type Actions, action, serviceError } from './action.ts';
import { type Clock, timestampOf } from './clock.ts';
import { lastPart } from './ecs-tasks.ts';
import type { ServiceTasks } from './service-tasks.ts';
import type { ServiceState, StateFile } from './state-file.ts';
import { usableRevision } from './task-definitions.ts';

const SDK = 'arn:aws:states:::aws-sdk:ecs';
const MAX_EVENTS = 100;
const arn = (resource: string) => localArn('ecs', resource);

/** ECS: describes services and changes their desired counts. The tasks are processes on this machine. */
export function ecsServiceActions(file: StateFile, tasks: ServiceTasks, clock: Clock): Actions {
  const stale = new StaleReads();
  const find = (cluster: string, nameOrArn: string) => {
    const clusterName = lastPart(cluster);
    const inCluster = file.state.ecs.services.filter((entry) => entry.cluster === clusterName);
    if (inCluster.length === 0) throw serviceError('Ecs.ClusterNotFoundException', 'Cluster not found.');
    return inCluster.find(({ service }) => service === lastPart(nameOrArn));
  };

  return Object.fromEntries([
    action(
      `${SDK}:describeServices`,
      z.strictObject({
        Cluster: z.string().default('default'),
        Services: z.array(z.string()),
        Include: z.array(z.literal('TAGS')).optional(),
      }),
      ({ Cluster, Services }) => {
        if (Services.length === 0) throw invalid('Services cannot be empty.');
        if (Services.length > 10) throw invalid('Services cannot have more than 10 elements.');
        const found: unknown[] = [];
        const failures: unknown[] = [];
        for (const nameOrArn of Services) {
          const service = find(Cluster, nameOrArn);
          if (service !== undefined) found.push(stale.read(service) ?? describe(service, tasks));
          else {
            failures.push({
              Arn: arn(`service/${lastPart(Cluster)}/${lastPart(nameOrArn)}`),
              Reason: 'MISSING',
            });
          }
        }
        return { Failures: failures, Services: found };
      },
    ),
    action(
      `${SDK}:updateService`,
      z.strictObject({
        Cluster: z.string().default('default'),
        Service: z.string(),
        DesiredCount: z.int().min(0).optional(),
        TaskDefinition: z.string().optional(),
        ForceNewDeployment: z.boolean().default(false),
      }),
      ({ Cluster, Service, DesiredCount, TaskDefinition, ForceNewDeployment }) => {
        const service = find(Cluster, Service);
        if (service === undefined) throw serviceError('Ecs.ServiceNotFoundException', 'Service not found.');
        if (service.status === 'INACTIVE')
          throw serviceError('Ecs.ServiceNotActiveException', 'Service was not ACTIVE.');
        if (service.schedulingStrategy === 'DAEMON' && DesiredCount !== undefined) {
          throw invalid(
            'The desired count cannot be set for a service that uses the DAEMON scheduling strategy.',
          );
        }
        stale.keep(service, describe(service, tasks));
        const current = service.deployments[0]?.taskDefinition ?? `${service.service}:1`;
        const taskDefinition = TaskDefinition === undefined ? current : usableRevision(file, TaskDefinition);
        service.desiredCount = DesiredCount ?? service.desiredCount;
        if (ForceNewDeployment || taskDefinition !== current) deploy(service, taskDefinition, clock);
        file.save();
        tasks.reconcile();
        return { Service: describe(service, tasks) };
      },
    ),
  ]);
}

/** Starts a deployment. It replaces the tasks of the earlier ones. */
function deploy(service: ServiceState, taskDefinition: string, clock: Clock): void {
  for (const deployment of service.deployments) deployment.status = 'ACTIVE';
  service.deployments.unshift({
    id: `ecs-svc/${randomInt(1e12, 1e13)}`,
    taskDefinition,
    createdAt: timestampOf(clock),
    status: 'PRIMARY',
    rolloutState: 'IN_PROGRESS',
  });
}

/** Descriptions from before a change, which DescribeServices can still return after it. */
class StaleReads {
  readonly #kept = new Map<ServiceState, { description: unknown; reads: number }>();

  keep(service: ServiceState, description: unknown): void {
    if (service.staleReads > 0) this.#kept.set(service, { description, reads: service.staleReads });
  }

  /** @returns undefined when the current description is visible */
  read(service: ServiceState): unknown {
    const kept = this.#kept.get(service);
    if (kept === undefined || kept.reads === 0) return undefined;
    kept.reads -= 1;
    return kept.description;
  }
}

function describe(service: ServiceState, tasks: ServiceTasks) {
  const { cluster, service: name, desiredCount, schedulingStrategy, createdAt } = service;
  const { running, pending } = tasks.count(service);
  return {
    ServiceArn: arn(`service/${cluster}/${name}`),
    ServiceName: name,
    ClusterArn: arn(`cluster/${cluster}`),
    Status: service.status ?? 'ACTIVE',
    DesiredCount: desiredCount,
    PendingCount: pending,
    RunningCount: running,
    LaunchType: 'FARGATE',
    SchedulingStrategy: schedulingStrategy,
    TaskDefinition: arn(`task-definition/${service.deployments[0]?.taskDefinition}`),
    CreatedAt: createdAt,
    ...(service.deploymentController && { DeploymentController: { Type: service.deploymentController } }),
    Deployments: service.deployments.map((deployment) => {
      const counts = tasks.count(service, deployment);
      return {
        Id: deployment.id,
        Status: deployment.status,
        TaskDefinition: arn(`task-definition/${deployment.taskDefinition}`),
        DesiredCount: deployment.status === 'PRIMARY' ? desiredCount : counts.running + counts.pending,
        PendingCount: counts.pending,
        RunningCount: counts.running,
        FailedTasks: 0,
        RolloutState: deployment.rolloutState,
        CreatedAt: deployment.createdAt,
        UpdatedAt: deployment.createdAt,
      };
    }),
    Events: eventsOf(service),
    LoadBalancers: service.targetGroups.map((TargetGroupArn) => ({
      TargetGroupArn,
      ContainerName: name,
      ContainerPort: 80,
    })),
    PlacementConstraints: [],
    PlacementStrategy: [],
    ServiceRegistries: [],
    EnableECSManagedTags: false,
    EnableExecuteCommand: false,
    PropagateTags: 'NONE',
  };
}

/** The starts of its tasks, the newest first. ECS shows at most 100 events. */
function eventsOf({ service, tasks, stoppedTasks }: ServiceState) {
  return [...stoppedTasks, ...tasks]
    .toSorted((one, other) => other.startedAt.localeCompare(one.startedAt) || other.id.localeCompare(one.id))
    .slice(0, MAX_EVENTS)
    .map(({ id, startedAt }) => ({
      Id: id,
      CreatedAt: startedAt,
      Message: `(service ${service}) has started 1 tasks: (task ${id}).`,
    }));
}

function invalid(message: string) {
  return serviceError('Ecs.InvalidParameterException', message);
}
