import { Aws, Duration } from 'aws-cdk-lib';
import { type IChainable, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { EcsTaskRunner } from '../../../lambdas/shared/migration-runner.ts';
import type { EcsTaskMigrations } from '../../config/migrations-config.ts';
import { withNulls } from '../null-parameters.ts';
import { RawTaskState } from '../raw-task-state.ts';
import { catchAll, NOT_STARTED_TASK_RETRIES } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import { mayRunTask } from './ecs-task-permissions.ts';
import { ERROR_PATH, MIGRATIONS_PATH, type MigrateProps, recordMigrationError } from './migration-states.ts';
import { migrationGroup } from './wait-for-migrations.ts';

/**
 * The runner `ecs-task` runs a task of the application's own image and waits until it stops:
 * 1. Run Migrations fails if the task cannot start or its exit code is not 0. It is retried only if ECS did not start the
 *    task.
 * 2. Record Migration Error turns the error into data.
 * 3. A task that may still run, as after a time-out, is stopped and waited for.
 */
export function runEcsTask(scope: Construct, migrations: EcsTaskMigrations, props: MigrateProps): IChainable {
  const { cluster, taskDefinition, container, timeoutMinutes, logs = null } = migrations;
  const runner: EcsTaskRunner = {
    ...{ name: 'ecs-task', cluster, taskDefinition, container, timeoutMinutes, logs },
  };
  const group = migrationGroup(props.environmentName);
  const run = new RawTaskState(scope, MIGRATIONS.run, {
    comment: "Runs a task of the application's own image. It fails if the exit code is not 0",
    resource: `arn:${Aws.PARTITION}:states:::ecs:runTask.sync`,
    parameters: { ...runTaskParameters(migrations), Group: group },
    resultSelector: {
      output: { status: 'applied', runner: withNulls(runner), answer: { 'task.$': '$.TaskArn' } },
    },
    resultPath: MIGRATIONS_PATH,
    taskTimeout: Timeout.duration(Duration.seconds(Math.ceil(timeoutMinutes * 60))),
    policies: mayRunTask(scope, migrations),
  });
  for (const retry of NOT_STARTED_TASK_RETRIES) run.addRetry(retry);
  catchAll(run, recordMigrationError(scope, runner, props), ERROR_PATH);
  return run.next(props.next);
}

function runTaskParameters(migrations: EcsTaskMigrations): Record<string, unknown> {
  const { cluster, taskDefinition, container, command, environment, launchType, network } = migrations;
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
