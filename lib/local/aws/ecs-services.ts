import { z } from 'zod';
import { localArn } from '../local-arns.ts';
import { type Actions, action, serviceError } from './action.ts';
import type { ServiceTasks } from './service-tasks.ts';
import type { ServiceState, StateFile } from './state-file.ts';

const SDK = 'arn:aws:states:::aws-sdk:ecs';
const arn = (resource: string) => localArn('ecs', resource);

/** ECS: describes services and changes their desired counts. The tasks are processes on this machine. */
export function ecsServiceActions(file: StateFile, tasks: ServiceTasks): Actions {
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
          if (service !== undefined) found.push(describe(service, tasks));
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
        DesiredCount: z.int().min(0),
      }),
      ({ Cluster, Service, DesiredCount }) => {
        const service = find(Cluster, Service);
        if (service === undefined) throw serviceError('Ecs.ServiceNotFoundException', 'Service not found.');
        if (service.schedulingStrategy === 'DAEMON') {
          throw invalid(
            'The desired count cannot be set for a service that uses the DAEMON scheduling strategy.',
          );
        }
        service.desiredCount = DesiredCount;
        file.save();
        tasks.reconcile();
        return { Service: describe(service, tasks) };
      },
    ),
  ]);
}

function describe(service: ServiceState, tasks: ServiceTasks) {
  const { cluster, service: name, desiredCount, schedulingStrategy, createdAt } = service;
  const { running, pending } = tasks.count(service);
  const taskDefinition = arn(`task-definition/${name}:1`);
  const counts = { DesiredCount: desiredCount, PendingCount: pending, RunningCount: running };
  return {
    ServiceArn: arn(`service/${cluster}/${name}`),
    ServiceName: name,
    ClusterArn: arn(`cluster/${cluster}`),
    Status: 'ACTIVE',
    ...counts,
    LaunchType: 'FARGATE',
    SchedulingStrategy: schedulingStrategy,
    TaskDefinition: taskDefinition,
    CreatedAt: createdAt,
    Deployments: [
      {
        Id: `ecs-svc/${name}`,
        Status: 'PRIMARY',
        TaskDefinition: taskDefinition,
        ...counts,
        FailedTasks: 0,
        RolloutState: 'COMPLETED',
        CreatedAt: createdAt,
        UpdatedAt: createdAt,
      },
    ],
    Events: [],
    LoadBalancers: [],
    PlacementConstraints: [],
    PlacementStrategy: [],
    ServiceRegistries: [],
    EnableECSManagedTags: false,
    EnableExecuteCommand: false,
    PropagateTags: 'NONE',
  };
}

function lastPart(nameOrArn: string): string {
  return nameOrArn.slice(nameOrArn.lastIndexOf('/') + 1);
}

function invalid(message: string) {
  return serviceError('Ecs.InvalidParameterException', message);
}
