import { Aws, Duration } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  Choice,
  Condition,
  Errors,
  type IChainable,
  JsonPath,
  Map as MapState,
  Pass,
  Timeout,
  Wait,
  WaitTime,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { familyOf } from '../../../lambdas/shared/migration-runner.ts';
import type { EcsTaskMigrations } from '../../config/migrations-config.ts';
import { RawTaskState } from '../raw-task-state.ts';
import { apiRetry } from '../retry-and-catch.ts';
import { MIGRATIONS_END } from '../state-names.ts';
import { growingChecksWithin } from '../wait-until.ts';
import { inCluster, onTasks } from './ecs-task-permissions.ts';

export interface WaitForTaskProps {
  migrations: EcsTaskMigrations;
  /** The group that the migration task was started in. */
  group: string;
  /** The longest wait, in minutes. */
  stopMinutes: number;
  /** The state after the end of all tasks, or if ECS cannot be read. */
  ended: IChainable;
  /** The deadline has passed. */
  late: IChainable;
}

/** Tasks of a page. Step Functions limits a result to 256 KiB, and the description of a task has several KiB. */
const PAGE = 20;

/** Path of the data of these states: `count` of checks, `tasks` of each desired status, `total`. */
const CHECK = '$.migrationTasks';

/**
 * Stops the migration tasks and waits until each of them is STOPPED: a task that has to stop still runs until its stop timeout
 * is over. The error of a state does not contain the task's ARN, so the states list the tasks of its family, in both desired
 * statuses, and select those of its group: the tasks of services, which may use the same family, are in other groups.
 * @returns the first state
 */
export function waitForTask(scope: Construct, props: WaitForTaskProps): Pass {
  const begin = new Pass(scope, MIGRATIONS_END.beginTasks, {
    parameters: { count: 0, statuses: ['RUNNING', 'STOPPED'] },
    resultPath: CHECK,
  });
  const find = new MapState(scope, MIGRATIONS_END.findTasks, {
    itemsPath: `${CHECK}.statuses`,
    itemSelector: { 'status.$': '$$.Map.Item.Value' },
    resultPath: `${CHECK}.tasks`,
  });
  find.itemProcessor(findTasks(scope, props));
  for (const error of ['States.DataLimitExceeded', Errors.ALL])
    find.addCatch(props.ended, { errors: [error], resultPath: JsonPath.DISCARD });
  const total = new Pass(scope, MIGRATIONS_END.countTasks, {
    parameters: { 'tasks.$': `States.ArrayLength(${CHECK}.tasks[*][*])` },
    resultPath: `${CHECK}.total`,
  });
  const wait = new Wait(scope, MIGRATIONS_END.waitForTasks, {
    time: WaitTime.secondsPath(`${CHECK}.count`),
  });
  const count = new Pass(scope, MIGRATIONS_END.countTaskCheck, {
    parameters: {
      count: JsonPath.mathAdd(JsonPath.numberAt(`${CHECK}.count`), 1),
      'statuses.$': `${CHECK}.statuses`,
    },
    resultPath: CHECK,
  });
  const checks = growingChecksWithin(props.stopMinutes * 60);
  const stop = stopTasks(scope, props);
  begin.next(find);
  find.next(total).next(
    new Choice(scope, MIGRATIONS_END.tasksStopped)
      .when(Condition.numberEquals(`${CHECK}.total.tasks`, 0), props.ended)
      .when(Condition.numberGreaterThanEquals(`${CHECK}.count`, checks), props.late)
      .otherwise(stop),
  );
  stop.next(wait).next(count).next(find);
  return begin;
}

/** The migration tasks of one desired status, of the first page on which one is not STOPPED. Empty: all are STOPPED. */
function findTasks(scope: Construct, props: WaitForTaskProps): IChainable {
  const { migrations, group } = props;
  const { cluster, taskDefinition } = migrations;
  const page = (more: Record<string, unknown>) => ({
    action: 'listTasks',
    parameters: {
      Cluster: cluster,
      Family: familyOf(taskDefinition),
      DesiredStatus: JsonPath.stringAt('$.status'),
      MaxResults: PAGE,
      ...more,
    },
    // After the last page, the token is null or missing: then the list is empty or contains null.
    result: { path: '$.page', selector: { 'tasks.$': '$.TaskArns', 'next.$': '$..NextToken' } },
    permission: new PolicyStatement({
      actions: ['ecs:ListTasks'],
      // IAM supports no resource for this action, only the condition.
      resources: ['*'],
      conditions: inCluster(scope, migrations),
    }),
  });
  const list = callEcs(scope, MIGRATIONS_END.listTasks, page({}));
  const listMore = callEcs(
    scope,
    MIGRATIONS_END.listMoreTasks,
    page({ NextToken: JsonPath.stringAt('$.page.next[0]') }),
  );
  const describe = callEcs(scope, MIGRATIONS_END.describeTasks, {
    action: 'describeTasks',
    parameters: { Cluster: cluster, Tasks: JsonPath.listAt('$.page.tasks') },
    result: {
      path: '$.found',
      selector: {
        'tasks.$': `$.Tasks[?(@.Group == '${group}')].TaskArn`,
        'statuses.$': `$.Tasks[?(@.Group == '${group}')].LastStatus`,
      },
    },
    permission: onTasks(scope, migrations, ['ecs:DescribeTasks']),
  });
  const found = new Pass(scope, MIGRATIONS_END.tasksFound, { outputPath: '$.found.tasks' });
  const none = new Pass(scope, MIGRATIONS_END.noTasksFound, {
    parameters: { tasks: [] },
    outputPath: '$.tasks',
  });
  const isLastPage = Condition.not(
    Condition.and(Condition.isPresent('$.page.next[0]'), Condition.isString('$.page.next[0]')),
  );
  const summarize = new Pass(scope, MIGRATIONS_END.summarizeTasks, {
    parameters: { 'tasks.$': '$.found.tasks', 'statuses.$': 'States.ArrayUnique($.found.statuses)' },
    resultPath: '$.found',
  });
  const [first, second] = ['$.found.statuses[0]', '$.found.statuses[1]'];
  const anyFound = new Choice(scope, MIGRATIONS_END.anyTasksFound)
    // Of two different statuses, one is not STOPPED.
    .when(Condition.isPresent(second), found)
    .when(
      Condition.and(Condition.isPresent(first), Condition.not(Condition.stringEquals(first, 'STOPPED'))),
      found,
    )
    .when(isLastPage, none)
    .otherwise(listMore);
  const anyListed = new Choice(scope, MIGRATIONS_END.anyTasksListed)
    .when(Condition.isPresent('$.page.tasks[0]'), describe)
    .otherwise(anyFound);
  describe.next(summarize).next(anyFound);
  list.next(anyListed);
  listMore.next(anyListed);
  return list;
}

/** Requests the end of the tasks that ECS wants to run. A request that fails is repeated with the next check. */
function stopTasks(scope: Construct, { migrations }: WaitForTaskProps): MapState {
  const stop = new MapState(scope, MIGRATIONS_END.stopTasks, {
    itemsPath: `${CHECK}.tasks[0]`,
    itemSelector: { 'task.$': '$$.Map.Item.Value' },
    resultPath: JsonPath.DISCARD,
  });
  const requested = new Pass(scope, MIGRATIONS_END.stopRequested, { parameters: {} });
  const call = callEcs(scope, MIGRATIONS_END.stopTask, {
    action: 'stopTask',
    parameters: {
      Cluster: migrations.cluster,
      Task: JsonPath.stringAt('$.task'),
      Reason: 'The deploy of this migration has ended or does not wait for it any longer',
    },
    permission: onTasks(scope, migrations, ['ecs:StopTask']),
  });
  call.addCatch(requested, { errors: [Errors.ALL], resultPath: JsonPath.DISCARD });
  stop.itemProcessor(call.next(requested));
  return stop;
}

interface EcsCall {
  action: string;
  parameters: Record<string, unknown>;
  result?: { path: string; selector: Record<string, unknown> };
  permission: PolicyStatement;
}

function callEcs(
  scope: Construct,
  id: string,
  { action, parameters, result, permission }: EcsCall,
): RawTaskState {
  const state = new RawTaskState(scope, id, {
    resource: `arn:${Aws.PARTITION}:states:::aws-sdk:ecs:${action}`,
    parameters,
    policies: [permission],
    taskTimeout: Timeout.duration(Duration.minutes(2)),
    ...(result === undefined
      ? { resultPath: JsonPath.DISCARD }
      : { resultSelector: result.selector, resultPath: result.path }),
  });
  state.addRetry(apiRetry('ecs'));
  return state;
}
