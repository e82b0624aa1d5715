import { Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import type { EcsTaskMigrations } from '../../config/migrations-config.ts';

/** What the window's role needs to run the task and to hear of its end: this task definition, this cluster, these roles. */
export function runTaskRights(scope: Construct, migrations: EcsTaskMigrations): PolicyStatement[] {
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
      // The one rule that Step Functions keeps for it.
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

/** Tasks bear ids that ECS makes, so all of the cluster's are meant. */
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

/** The condition of an action on the configured cluster. */
export function inCluster(scope: Construct, { cluster }: EcsTaskMigrations): Record<string, unknown> {
  const arn = Stack.of(scope).formatArn({ service: 'ecs', resource: 'cluster', resourceName: cluster });
  return { ArnEquals: { 'ecs:cluster': arn } };
}

/** A family stands for all of its revisions: the latest at the time of the deploy is run. */
function taskDefinitionArn(scope: Construct, taskDefinition: string): string {
  if (taskDefinition.startsWith('arn:')) return taskDefinition;
  return Stack.of(scope).formatArn({
    service: 'ecs',
    resource: 'task-definition',
    resourceName: taskDefinition.includes(':') ? taskDefinition : `${taskDefinition}:*`,
  });
}
