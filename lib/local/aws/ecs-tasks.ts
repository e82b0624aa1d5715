import { z } from 'zod';
import { localArn } from '../local-arns.ts';
import { type Actions, action, serviceError } from './action.ts';

const SDK = 'arn:aws:states:::aws-sdk:ecs';

/** A task of a service or of RunTask, as DescribeTasks shows it. */
export interface DescribedTask {
  readonly arn: string;
  readonly cluster: string;
  /** service:NAME for the tasks of a service. */
  readonly group: string;
  /** The id of the deployment for the tasks of a service. */
  readonly startedBy: string;
  /** FAMILY:REVISION. */
  readonly taskDefinition: string;
  /** Name of its container. */
  readonly container: string;
  /** ISO 8601. */
  readonly startedAt: string;
  readonly desiredStatus: 'RUNNING' | 'STOPPED';
  readonly lastStatus: string;
  /** Undefined: the process still runs, or its exit code is unknown. */
  readonly exitCode?: number | undefined;
  /** Why the container could not be started. */
  readonly containerReason?: string | undefined;
  readonly stopCode?: string | undefined;
  readonly stoppedReason?: string | undefined;
}

/** Where tasks come from: services, and RunTask. */
export interface TaskSource {
  /** Includes tasks that stopped a short time ago. */
  list(): readonly DescribedTask[];
  /** Sets the desired status STOPPED and returns at once. @returns false if it does not have the task */
  stop(arn: string, reason: string): boolean;
}

/** ECS: lists, describes and stops tasks. */
export function ecsTaskActions(sources: readonly TaskSource[], hasService: HasService): Actions {
  const all = () => sources.flatMap((source) => source.list());
  const find = (cluster: string, nameOrArn: string) =>
    all().find(
      ({ arn, ...task }) => task.cluster === lastPart(cluster) && lastPart(arn) === lastPart(nameOrArn),
    );

  return Object.fromEntries([
    action(
      `${SDK}:listTasks`,
      z.strictObject({
        Cluster: z.string().default('default'),
        ServiceName: z.string().optional(),
        Family: z.string().optional(),
        DesiredStatus: z.enum(['RUNNING', 'PENDING', 'STOPPED']).default('RUNNING'),
        MaxResults: z.int().min(1).max(100).default(100),
        NextToken: z.string().optional(),
      }),
      ({ Cluster, ServiceName, Family, DesiredStatus, MaxResults, NextToken }) => {
        if (ServiceName !== undefined && !hasService(lastPart(Cluster), lastPart(ServiceName))) {
          throw serviceError('Ecs.ServiceNotFoundException', 'Service not found.');
        }
        const found = all()
          .filter(({ cluster }) => cluster === lastPart(Cluster))
          .filter(({ group }) => ServiceName === undefined || group === `service:${lastPart(ServiceName)}`)
          .filter(({ taskDefinition }) => Family === undefined || taskDefinition.split(':')[0] === Family)
          .filter(({ desiredStatus }) => desiredStatus === DesiredStatus)
          .map(({ arn }) => arn);
        const from = NextToken === undefined ? 0 : offsetOf(NextToken);
        const to = from + MaxResults;
        return { TaskArns: found.slice(from, to), ...(to < found.length && { NextToken: tokenOf(to) }) };
      },
    ),
    action(
      `${SDK}:describeTasks`,
      z.strictObject({ Cluster: z.string().default('default'), Tasks: z.array(z.string()) }),
      ({ Cluster, Tasks }) => {
        if (Tasks.length === 0) throw invalid('Tasks cannot be empty.');
        if (Tasks.length > 100) throw invalid('Tasks cannot have more than 100 elements.');
        const found = Tasks.map((nameOrArn) => find(Cluster, nameOrArn));
        return {
          Failures: Tasks.filter((_, at) => found[at] === undefined).map((nameOrArn) => ({
            Arn: localArn('ecs', `task/${lastPart(Cluster)}/${lastPart(nameOrArn)}`),
            Reason: 'MISSING',
          })),
          Tasks: found.filter((task) => task !== undefined).map(describeTask),
        };
      },
    ),
    action(
      `${SDK}:stopTask`,
      z.strictObject({
        Cluster: z.string().default('default'),
        Task: z.string(),
        Reason: z.string().optional(),
      }),
      ({ Cluster, Task, Reason = 'Task stopped by user' }) => {
        const task = find(Cluster, Task);
        if (task === undefined) throw invalid('The referenced task was not found.');
        for (const source of sources) if (source.stop(task.arn, Reason)) break;
        return { Task: describeTask(find(Cluster, Task) ?? task) };
      },
    ),
  ]);
}

type HasService = (cluster: string, service: string) => boolean;

/** A task with the names in the case that Step Functions uses. */
export function describeTask(task: DescribedTask): Record<string, unknown> {
  const { arn, cluster, container, startedAt, exitCode, containerReason } = task;
  return {
    Attachments: [],
    ClusterArn: localArn('ecs', `cluster/${cluster}`),
    Containers: [
      {
        ContainerArn: arn.replace(':task/', ':container/'),
        ...(exitCode === undefined ? {} : { ExitCode: exitCode }),
        LastStatus: task.lastStatus === 'STOPPED' ? 'STOPPED' : 'RUNNING',
        Name: container,
        ...(containerReason === undefined ? {} : { Reason: containerReason }),
        TaskArn: arn,
      },
    ],
    CreatedAt: Date.parse(startedAt),
    DesiredStatus: task.desiredStatus,
    Group: task.group,
    LastStatus: task.lastStatus,
    LaunchType: 'FARGATE',
    StartedBy: task.startedBy,
    ...(task.stopCode === undefined ? {} : { StopCode: task.stopCode }),
    ...(task.stoppedReason === undefined ? {} : { StoppedReason: task.stoppedReason }),
    TaskArn: arn,
    TaskDefinitionArn: localArn('ecs', `task-definition/${task.taskDefinition}`),
  };
}

/** The name in an ARN, or the name itself. */
export function lastPart(nameOrArn: string): string {
  return nameOrArn.slice(nameOrArn.lastIndexOf('/') + 1);
}

function tokenOf(offset: number): string {
  return Buffer.from(`from ${offset}`).toString('base64url');
}

function offsetOf(token: string): number {
  const [, offset] = /^from (\d+)$/.exec(Buffer.from(token, 'base64url').toString()) ?? [];
  if (offset === undefined) throw invalid('Invalid token.');
  return Number(offset);
}

function invalid(message: string) {
  return serviceError('Ecs.InvalidParameterException', message);
}
