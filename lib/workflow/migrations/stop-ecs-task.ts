import { Aws, Duration } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import {
  Errors,
  type IChainable,
  JsonPath,
  Map as MapState,
  type TaskStateBase,
  Timeout,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { familyOf } from '../../../lambdas/shared/migration-runner.ts';
import type { EcsTaskMigrations } from '../../config/migrations-config.ts';
import { RawTask } from '../raw-task.ts';
import { apiRetry } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import { inCluster, onTasks } from './ecs-task-permissions.ts';

export interface StopLateTaskProps {
  migrations: EcsTaskMigrations;
  /** The group that the task was started in, by which it is known. */
  group: string;
  next: IChainable;
}

/**
 * Stops the migration's task after its deadline. A time-out brings no ARN with it, so the task is looked for by its family
 * and its group: tasks of services, which may be of the same family, are of another group. What of it fails is passed
 * over. @returns the first state
 */
export function stopLateTask(
  scope: Construct,
  { migrations, group, next }: StopLateTaskProps,
): TaskStateBase {
  const { cluster } = migrations;
  const list = call(scope, MIGRATIONS.listTasks, {
    action: 'listTasks',
    parameters: { Cluster: cluster, Family: familyOf(migrations.taskDefinition), DesiredStatus: 'RUNNING' },
    result: { path: '$.late', selector: { 'tasks.$': '$.TaskArns' } },
    right: new PolicyStatement({
      actions: ['ecs:ListTasks'],
      // IAM knows the cluster of it by the condition alone.
      resources: ['*'],
      conditions: inCluster(scope, migrations),
    }),
    next,
  });
  const describe = call(scope, MIGRATIONS.describeTasks, {
    action: 'describeTasks',
    parameters: { Cluster: cluster, Tasks: JsonPath.listAt('$.late.tasks') },
    result: { path: '$.late', selector: { 'tasks.$': `$.Tasks[?(@.Group == '${group}')].TaskArn` } },
    right: onTasks(scope, migrations, ['ecs:DescribeTasks']),
    next,
  });
  const stop = new MapState(scope, MIGRATIONS.stopTasks, {
    itemsPath: '$.late.tasks',
    itemSelector: { 'task.$': '$$.Map.Item.Value' },
    resultPath: JsonPath.DISCARD,
  });
  stop.itemProcessor(
    call(scope, MIGRATIONS.stopTask, {
      action: 'stopTask',
      parameters: {
        Cluster: cluster,
        Task: JsonPath.stringAt('$.task'),
        Reason: 'The migration did not end in time',
      },
      right: onTasks(scope, migrations, ['ecs:StopTask']),
    }),
  );
  stop.addCatch(next, { errors: [Errors.ALL], resultPath: JsonPath.DISCARD });
  list.next(describe).next(stop).next(next);
  return list;
}

interface Call {
  action: string;
  parameters: Record<string, unknown>;
  result?: { path: string; selector: Record<string, unknown> };
  right: PolicyStatement;
  /** Where it goes on when it fails. Undefined: it fails. */
  next?: IChainable;
}

function call(scope: Construct, id: string, { action, parameters, result, right, next }: Call): RawTask {
  const state = new RawTask(scope, id, {
    resource: `arn:${Aws.PARTITION}:states:::aws-sdk:ecs:${action}`,
    parameters,
    policies: [right],
    taskTimeout: Timeout.duration(Duration.minutes(2)),
    ...(result === undefined
      ? { resultPath: JsonPath.DISCARD }
      : { resultSelector: result.selector, resultPath: result.path }),
  });
  state.addRetry(apiRetry('Ecs'));
  if (next !== undefined) state.addCatch(next, { errors: [Errors.ALL], resultPath: JsonPath.DISCARD });
  return state;
}
