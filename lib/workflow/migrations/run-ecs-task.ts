import { Aws, Duration } from 'aws-cdk-lib';
import { Choice, Condition, type IChainable, Pass, Result, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { type EcsTaskRunner, familyOf } from '../../../lambdas/shared/migration-runner.ts';
import type { EcsTaskMigrations } from '../../config/migrations-config.ts';
import { withNulls } from '../null-parameters.ts';
import { RawTaskState } from '../raw-task-state.ts';
import { catchAll, NOT_STARTED_TASK_RETRIES } from '../retry-and-catch.ts';
import { MIGRATIONS, MIGRATIONS_END } from '../state-names.ts';
import { mayRunTask } from './ecs-task-permissions.ts';
import {
  ERROR_PATH,
  MIGRATIONS_PATH,
  type MigrateProps,
  recordMigrationError,
  STILL_RUNNING_PATH,
} from './migration-states.ts';
import { waitForTask } from './wait-for-task.ts';

/**
 * The runner `ecs-task` runs a task of the application's own image and waits until it stops:
 * 1. A task of an earlier deploy that still runs is stopped and waited for.
 * 2. Run Migrations fails if the task cannot start or its exit code is not 0. It is retried only if ECS did not start the
 *    task.
 * 3. Record Migration Error turns the error into data.
 * 4. A task that may still run, as after a time-out, is stopped and waited for.
 */
export function runEcsTask(scope: Construct, migrations: EcsTaskMigrations, props: MigrateProps): IChainable {
  const { cluster, taskDefinition, container, timeoutMinutes, logs = null } = migrations;
  const runner: EcsTaskRunner = {
    ...{ name: 'ecs-task', cluster, taskDefinition, container, timeoutMinutes, logs },
  };
  const group = props.names.migrationGroup;
  const run = new RawTaskState(scope, MIGRATIONS.run, {
    comment: "Runs a task of the application's own image. It fails if the exit code is not 0",
    resource: `arn:${Aws.PARTITION}:states:::ecs:runTask.sync`,
    parameters: { ...runTaskParameters(migrations, migrations.command), Group: group },
    resultSelector: {
      output: { status: 'applied', runner: withNulls(runner), answer: { 'task.$': '$.TaskArn' } },
    },
    resultPath: MIGRATIONS_PATH,
    taskTimeout: Timeout.duration(Duration.seconds(Math.ceil(timeoutMinutes * 60))),
    policies: mayRunTask(scope, migrations),
  });
  for (const retry of NOT_STARTED_TASK_RETRIES) run.addRetry(retry);
  const wait = waitForTasks(scope, { migrations, runner, group, run, ...props });
  catchAll(run, recordMigrationError(scope, runner, wait), ERROR_PATH);
  run.next(props.next);
  return wait;
}

interface WaitForTasksProps extends MigrateProps {
  migrations: EcsTaskMigrations;
  runner: EcsTaskRunner;
  group: string;
  run: IChainable;
}

/** The same states wait for the task of an earlier deploy, before the migration, and for the own task, after an error. */
function waitForTasks(
  scope: Construct,
  { migrations, runner, group, run, ...props }: WaitForTasksProps,
): Pass {
  const hasRun = Condition.isPresent(ERROR_PATH);
  const stillRunning = new Pass(scope, MIGRATIONS_END.stillRunning, {
    result: Result.fromString('its task'),
    resultPath: STILL_RUNNING_PATH,
  });
  const earlierRuns = new Pass(scope, MIGRATIONS.earlierRuns, {
    parameters: {
      output: {
        status: 'failed',
        runner: withNulls(runner),
        caught: {
          Error: 'MigrationTaskRunning',
          Cause: `A migration task of an earlier deploy did not stop within ${props.environment.stopMinutes} minutes (stopMinutes), and two migrations must not run at once. Stop it: aws ecs list-tasks --cluster ${migrations.cluster} --family ${familyOf(migrations.taskDefinition)}`,
        },
      },
    },
    resultPath: MIGRATIONS_PATH,
  });
  stillRunning.next(props.failed);
  earlierRuns.next(props.failed);
  return waitForTask(scope, {
    ...{ migrations, group, stopMinutes: props.environment.stopMinutes },
    ended: new Choice(scope, MIGRATIONS.hasRun).when(hasRun, props.failed).otherwise(run),
    late: new Choice(scope, MIGRATIONS.whoseTaskRuns).when(hasRun, stillRunning).otherwise(earlierRuns),
  });
}

/** @param command undefined: that of the task definition */
export function runTaskParameters(
  migrations: EcsTaskMigrations,
  command: readonly string[] | undefined,
): Record<string, unknown> {
  const { cluster, taskDefinition, container, environment, launchType, network } = migrations;
  const variables = Object.entries(environment).map(([Name, Value]) => ({ Name, Value }));
  return {
    Cluster: cluster,
    TaskDefinition: taskDefinition,
    LaunchType: launchType,
    ...(network && {
      NetworkConfiguration: {
        AwsvpcConfiguration: {
          Subnets: network.subnetIds,
          SecurityGroups: network.securityGroupIds,
          // ECS refuses ENABLED for EC2.
          ...(launchType === 'FARGATE' && {
            AssignPublicIp: network.assignPublicIp ? 'ENABLED' : 'DISABLED',
          }),
        },
      },
    }),
    Overrides: {
      ContainerOverrides: [
        {
          Name: container,
          ...(command && { Command: command }),
          ...(variables.length > 0 && { Environment: variables }),
        },
      ],
    },
  };
}
