import { ArnFormat, Aws, Duration, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  Choice,
  Condition,
  JsonPath,
  Pass,
  type State,
  type TaskStateBase,
  Timeout,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { RawTaskState } from '../raw-task-state.ts';
import { apiRetry, catchAll } from '../retry-and-catch.ts';
import { ECS } from '../state-names.ts';
import type { AfterStop, WaitLimits } from './service-kind.ts';
import { SERVICE_GONE } from './start-ecs-service.ts';

/*
 * A stopped service has only tasks whose last status is STOPPED. Its counts do not show that: a task that a load balancer
 * deregisters, or that has not reacted to SIGTERM yet, is in no count and still uses the database.
 */

/**
 * Tasks in one page. A description has up to 10 KB (containers, overrides, attachments), and the result of a state at most
 * 256 KiB.
 */
const PAGE = 20;

/** Checks after which a desired count above 0 was set by someone else. Before, DescribeServices may be out of date. */
const STALE_CHECKS = 3;

/** The value of `$.counts` before the service is described. */
export const NO_COUNTS = { desired: [0], running: [0], pending: [0] };

/** The value of `$.stopping` before the tasks are described. */
export const NO_STOPPING_TASKS = { statuses: [] };

export interface StoppedTasksProps {
  /** Names of the clusters of all services. */
  clusters: readonly string[];
  limits: WaitLimits;
  /** Writes `desired`, `running` and `pending` of the service to `$.counts`: lists that are empty if the service does not exist. */
  counts: TaskStateBase;
  after: AfterStop;
}

/**
 * Waits until every task of the service, of any deployment, has the last status STOPPED:
 * 1. poll the counts until the desired count and the numbers of running and pending tasks are 0;
 * 2. list the tasks whose desired status is RUNNING: there must be none;
 * 3. list those whose desired status is STOPPED, page by page, and describe each page until all of it is STOPPED;
 * 4. if a page was not STOPPED at first, begin again: tasks may have started and stopped in the meantime.
 * Reads `$.service`, writes `$.counts` and `$.stopping`: the distinct last statuses of the last page.
 * @returns the first state
 */
export function waitForStoppedTasks(scope: Construct, props: StoppedTasksProps): State {
  const { counts, limits, after } = props;
  const isLate = Condition.numberGreaterThanEquals('$.checks.count', limits.stopChecks);
  const begin = new Pass(scope, ECS.stopped.begin, {
    parameters: { count: 0, settled: true },
    resultPath: '$.checks',
  });
  const count = nextCheck(scope, ECS.stopped.count, true);
  const wait = pause(scope, ECS.stopped.wait, limits);
  const countDescribed = nextCheck(scope, ECS.stopping.count, false);
  const waitForDescribed = pause(scope, ECS.stopping.wait, limits);

  const listRunning = listTasks(scope, ECS.stopping.listRunning, props, {
    DesiredStatus: 'RUNNING',
    MaxResults: 1,
  });
  const list = listTasks(scope, ECS.stopping.list, props, { DesiredStatus: 'STOPPED', MaxResults: PAGE });
  const listMore = listTasks(scope, ECS.stopping.listMore, props, {
    DesiredStatus: 'STOPPED',
    MaxResults: PAGE,
    NextToken: JsonPath.stringAt('$.page.NextToken'),
  });
  const describe = describeTasks(scope, props);

  for (const call of [counts, listRunning, list, listMore, describe])
    catchAll(call, after.failed, '$.failure');
  const gone = new Pass(scope, ECS.goneWhileStopping, {
    parameters: { Error: 'ServiceNotFound', 'Cause.$': SERVICE_GONE },
    resultPath: '$.failure',
  });
  gone.next(after.failed);

  begin.next(counts);
  counts.next(
    new Choice(scope, ECS.stopped.reached)
      .when(Condition.not(Condition.isPresent('$.counts.desired[0]')), gone)
      .when(
        Condition.and(
          ...['desired', 'running', 'pending'].map((field) =>
            Condition.numberEquals(`$.counts.${field}[0]`, 0),
          ),
        ),
        listRunning,
      )
      .when(
        Condition.and(
          Condition.numberGreaterThan('$.counts.desired[0]', 0),
          Condition.or(Condition.numberGreaterThanEquals('$.checks.count', STALE_CHECKS), isLate),
        ),
        after.startedByOthers,
      )
      .when(isLate, after.late)
      .otherwise(wait),
  );
  wait.next(count).next(counts);

  listRunning.next(
    new Choice(scope, ECS.stopping.noneRunning)
      .when(Condition.not(Condition.isPresent('$.page.TaskArns[0]')), list)
      .when(isLate, after.late)
      .otherwise(wait),
  );

  const hasNextPage = Condition.and(
    Condition.isPresent('$.page.NextToken'),
    // Null after the last page, if the field is present.
    Condition.isString('$.page.NextToken'),
  );
  const isSettled = Condition.booleanEquals('$.checks.settled', true);
  const anyListed = new Choice(scope, ECS.stopping.anyListed)
    .when(Condition.isPresent('$.page.TaskArns[0]'), describe)
    .when(hasNextPage, listMore)
    .when(isSettled, after.stopped)
    .otherwise(count);
  list.next(anyListed);
  listMore.next(anyListed);

  const areAllStopped = Condition.or(
    Condition.not(Condition.isPresent('$.stopping.statuses[0]')),
    Condition.and(
      Condition.stringEquals('$.stopping.statuses[0]', 'STOPPED'),
      Condition.not(Condition.isPresent('$.stopping.statuses[1]')),
    ),
  );
  const isAnyStopping = Condition.not(areAllStopped);
  describe.next(
    new Choice(scope, ECS.stopping.reached)
      .when(Condition.and(isAnyStopping, isLate), after.late)
      .when(isAnyStopping, waitForDescribed)
      .when(hasNextPage, listMore)
      .when(isSettled, after.stopped)
      .otherwise(count),
  );
  waitForDescribed.next(countDescribed).next(describe);
  return begin;
}

/** @param settled whether the tasks have been STOPPED since the counts were read */
function nextCheck(scope: Construct, id: string, settled: boolean): Pass {
  return new Pass(scope, id, {
    parameters: { count: JsonPath.mathAdd(JsonPath.numberAt('$.checks.count'), 1), settled },
    resultPath: '$.checks',
  });
}

function pause(scope: Construct, id: string, { pollSeconds }: WaitLimits): Wait {
  return new Wait(scope, id, { time: WaitTime.duration(Duration.seconds(pollSeconds)) });
}

/** Writes the response to `$.page`. */
function listTasks(
  scope: Construct,
  id: string,
  { clusters }: StoppedTasksProps,
  parameters: Record<string, unknown>,
): RawTaskState {
  const state = new RawTaskState(scope, id, {
    resource: `arn:${Aws.PARTITION}:states:::aws-sdk:ecs:listTasks`,
    parameters: {
      Cluster: JsonPath.stringAt('$.service.cluster'),
      ServiceName: JsonPath.stringAt('$.service.service'),
      ...parameters,
    },
    // IAM supports no resource for this action, only the condition.
    policies: clusters.map((cluster) => inCluster(scope, cluster, 'ecs:ListTasks', '*')),
    taskTimeout: Timeout.duration(Duration.minutes(2)),
    resultPath: '$.page',
  });
  state.addRetry(apiRetry('ecs'));
  return state;
}

function describeTasks(scope: Construct, { clusters }: StoppedTasksProps): RawTaskState {
  const state = new RawTaskState(scope, ECS.stopping.describe, {
    resource: `arn:${Aws.PARTITION}:states:::aws-sdk:ecs:describeTasks`,
    parameters: {
      Cluster: JsonPath.stringAt('$.service.cluster'),
      Tasks: JsonPath.listAt('$.page.TaskArns'),
    },
    policies: clusters.map((cluster) =>
      inCluster(scope, cluster, 'ecs:DescribeTasks', arnOf(scope, 'task', `${cluster}/*`)),
    ),
    taskTimeout: Timeout.duration(Duration.minutes(2)),
    // A task that is not in the response stopped more than an hour ago.
    resultSelector: { 'statuses.$': 'States.ArrayUnique($.Tasks[*].LastStatus)' },
    resultPath: '$.stopping',
  });
  state.addRetry(apiRetry('ecs'));
  return state;
}

function inCluster(scope: Construct, cluster: string, action: string, resource: string): PolicyStatement {
  return new PolicyStatement({
    actions: [action],
    resources: [resource],
    conditions: { ArnEquals: { 'ecs:cluster': arnOf(scope, 'cluster', cluster) } },
  });
}

function arnOf(scope: Construct, resource: string, resourceName: string): string {
  return Stack.of(scope).formatArn({
    service: 'ecs',
    resource,
    resourceName,
    arnFormat: ArnFormat.SLASH_RESOURCE_NAME,
  });
}
