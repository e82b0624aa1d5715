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
import { RawTaskState } from '../raw-task-state.ts';
import { apiRetry } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import { inCluster, onTasks } from './ecs-task-permissions.ts';

export interface StopEcsTaskProps {
  migrations: EcsTaskMigrations;
  /** The group that the migration task was started in. */
  group: string;
  next: IChainable;
}

/**
 * Stops the migration task after its time-out. The time-out error does not contain the task's ARN, so the states list the
 * tasks of its family, then select those of its group: the tasks of services, which may use the same family, are in other
 * groups. An error of one of these states is ignored.
 * @returns the first state
 */
export function stopEcsTask(scope: Construct, { migrations, group, next }: StopEcsTaskProps): TaskStateBase {
  const { cluster } = migrations;
  const list = callEcs(scope, MIGRATIONS.listTasks, {
    action: 'listTasks',
    parameters: { Cluster: cluster, Family: familyOf(migrations.taskDefinition), DesiredStatus: 'RUNNING' },
    result: { path: '$.found', selector: { 'tasks.$': '$.TaskArns' } },
    permission: new PolicyStatement({
      actions: ['ecs:ListTasks'],
      // IAM supports no resource for this action, only the condition.
      resources: ['*'],
      conditions: inCluster(scope, migrations),
    }),
    onError: next,
  });
  const describe = callEcs(scope, MIGRATIONS.describeTasks, {
    action: 'describeTasks',
    parameters: { Cluster: cluster, Tasks: JsonPath.listAt('$.found.tasks') },
    result: { path: '$.found', selector: { 'tasks.$': `$.Tasks[?(@.Group == '${group}')].TaskArn` } },
    permission: onTasks(scope, migrations, ['ecs:DescribeTasks']),
    onError: next,
  });
  const stop = new MapState(scope, MIGRATIONS.stopTasks, {
    itemsPath: '$.found.tasks',
    itemSelector: { 'task.$': '$$.Map.Item.Value' },
    resultPath: JsonPath.DISCARD,
  });
  stop.itemProcessor(
    callEcs(scope, MIGRATIONS.stopTask, {
      action: 'stopTask',
      parameters: {
        Cluster: cluster,
        Task: JsonPath.stringAt('$.task'),
        Reason: 'The migration timed out',
      },
      permission: onTasks(scope, migrations, ['ecs:StopTask']),
    }),
  );
  stop.addCatch(next, { errors: [Errors.ALL], resultPath: JsonPath.DISCARD });
  list.next(describe).next(stop).next(next);
  return list;
}

interface EcsCall {
  action: string;
  parameters: Record<string, unknown>;
  result?: { path: string; selector: Record<string, unknown> };
  permission: PolicyStatement;
  /** The state after an error. Undefined: the error fails the execution or the Map. */
  onError?: IChainable;
}

function callEcs(
  scope: Construct,
  id: string,
  { action, parameters, result, permission, onError }: EcsCall,
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
  if (onError !== undefined) state.addCatch(onError, { errors: [Errors.ALL], resultPath: JsonPath.DISCARD });
  return state;
}
