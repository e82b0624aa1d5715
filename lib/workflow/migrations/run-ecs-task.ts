import { Aws, Duration } from 'aws-cdk-lib';
import { Errors, type IChainable, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { EcsTaskRunner } from '../../../lambdas/shared/migration-runner.ts';
import type { EcsTaskMigrations } from '../../config/migrations-config.ts';
import { withNulls } from '../null-parameters.ts';
import { RawTaskState } from '../raw-task-state.ts';
import { catchAll, NOT_STARTED_TASK_RETRIES } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import { mayRunTask } from './ecs-task-permissions.ts';
import { ERROR_PATH, MIGRATIONS_PATH, type MigrateProps, recordMigrationError } from './migration-states.ts';
import { stopEcsTask } from './stop-ecs-task.ts';

/**
 * The runner `ecs-task` runs a task of the application's own image and waits until it stops:
 * 1. Run Migrations fails if the task cannot start or its exit code is not 0. It is retried only if ECS did not start the
 *    task.
 * 2. After a time-out, the task is stopped.
 * 3. Record Migration Error turns the error into data.
 */
export function runEcsTask(scope: Construct, migrations: EcsTaskMigrations, props: MigrateProps): IChainable {
  const { cluster, taskDefinition, container, timeoutMinutes, logs = null } = migrations;
  const runner: EcsTaskRunner = {
    ...{ name: 'ecs-task', cluster, taskDefinition, container, timeoutMinutes, logs },
  };
  const group = `pg-deploy-step-${props.environmentName}-migrations`;
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
  const recordError = recordMigrationError(scope, runner, props.failed);
  // The task may continue after its state has timed out, and the services must not start while a migration runs.
  run.addCatch(stopEcsTask(scope, { migrations, group, next: recordError }), {
    errors: [Errors.TIMEOUT],
    resultPath: ERROR_PATH,
  });
  catchAll(run, recordError, ERROR_PATH);
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
