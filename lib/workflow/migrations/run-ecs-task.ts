import { Aws, Duration } from 'aws-cdk-lib';
import { Errors, type IChainable, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { EcsTaskRunner } from '../../../lambdas/shared/migration-runner.ts';
import type { EcsTaskMigrations } from '../../config/migrations-config.ts';
import { RawTask } from '../raw-task.ts';
import { NOT_STARTED_TASK_RETRY } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import { runTaskRights } from './ecs-task-permissions.ts';
import {
  catchBroken,
  catchError,
  MIGRATIONS_PATH,
  type MigrateProps,
  migrationBroke,
  rendered,
} from './migration-states.ts';
import { stopLateTask } from './stop-ecs-task.ts';

/**
 * The runner ecs-task: a task of the application's own image, waited for until it stops. An exit code other than 0 is a
 * failure, and so is a task that does not come to run. It is started once: only what ECS refused outright is tried again.
 */
export function runEcsTask(scope: Construct, migrations: EcsTaskMigrations, props: MigrateProps): IChainable {
  const { cluster, taskDefinition, container, timeoutMinutes, logs = null } = migrations;
  const runner: EcsTaskRunner = {
    ...{ name: 'ecs-task', cluster, taskDefinition, container, timeoutMinutes, logs },
  };
  const group = `pg-deploy-step-${props.environmentName}-migrations`;
  const run = new RawTask(scope, MIGRATIONS.run, {
    comment: "A task of the application's own image; its exit code tells whether it failed",
    resource: `arn:${Aws.PARTITION}:states:::ecs:runTask.sync`,
    parameters: { ...runTaskParameters(migrations), Group: group },
    resultSelector: {
      output: { status: 'applied', runner: rendered(runner), answer: { 'task.$': '$.TaskArn' } },
    },
    resultPath: MIGRATIONS_PATH,
    taskTimeout: Timeout.duration(Duration.seconds(Math.ceil(timeoutMinutes * 60))),
    policies: runTaskRights(scope, migrations),
  });
  run.addRetry(NOT_STARTED_TASK_RETRY);
  const broke = migrationBroke(scope, runner, props.failed);
  // Nothing promises that the task ends with its state, and services must not start beside a migration.
  catchError(run, Errors.TIMEOUT, stopLateTask(scope, { migrations, group, next: broke }));
  catchBroken(run, broke);
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
          // EC2 takes no such field's ENABLED, and needs none.
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
