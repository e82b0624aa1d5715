import { Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { EcsTaskMigrations } from '../../config/migrations-config.ts';

/**
 * Permissions to run the task and to wait until it stops, limited to the configured task definition, cluster and roles.
 */
export function mayRunTask(scope: Construct, migrations: EcsTaskMigrations): PolicyStatement[] {
  const roles = [...new Set(Object.values(migrations.roles))].filter((role) => role !== 'none');
  return [
    new PolicyStatement({
      actions: ['ecs:RunTask'],
      resources: [taskDefinitionArn(scope, migrations.taskDefinition)],
      conditions: inCluster(scope, migrations),
    }),
    onTasks(scope, migrations, ['ecs:StopTask', 'ecs:DescribeTasks']),
    ...(roles.length === 0
      ? []
      : [
          new PolicyStatement({
            actions: ['iam:PassRole'],
            resources: roles,
            conditions: { StringEquals: { 'iam:PassedToService': 'ecs-tasks.amazonaws.com' } },
          }),
        ]),
    new PolicyStatement({
      actions: ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
      // Step Functions uses this one rule to wait for ECS tasks.
      resources: [
        Stack.of(scope).formatArn({
          service: 'events',
          resource: 'rule',
          resourceName: 'StepFunctionsGetEventsForECSTaskRule',
        }),
      ],
    }),
  ];
}

/** Actions on all tasks of the cluster, because ECS chooses the ids of tasks. */
export function onTasks(scope: Construct, migrations: EcsTaskMigrations, actions: string[]): PolicyStatement {
  return new PolicyStatement({
    actions,
    resources: [
      Stack.of(scope).formatArn({
        service: 'ecs',
        resource: 'task',
        resourceName: `${migrations.cluster}/*`,
      }),
    ],
    conditions: inCluster(scope, migrations),
  });
}

/** The condition that an action concerns the configured cluster. */
export function inCluster(scope: Construct, { cluster }: EcsTaskMigrations): Record<string, unknown> {
  const arn = Stack.of(scope).formatArn({ service: 'ecs', resource: 'cluster', resourceName: cluster });
  return { ArnEquals: { 'ecs:cluster': arn } };
}

/** The ARN allows every revision of a family, because the deploy runs the latest one. */
function taskDefinitionArn(scope: Construct, taskDefinition: string): string {
  if (taskDefinition.startsWith('arn:')) return taskDefinition;
  return Stack.of(scope).formatArn({
    service: 'ecs',
    resource: 'task-definition',
    resourceName: taskDefinition.includes(':') ? taskDefinition : `${taskDefinition}:*`,
  });
}
