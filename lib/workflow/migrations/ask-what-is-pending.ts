import { Aws, Duration } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Choice, Condition, type IChainable, JsonPath, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { EcsTaskMigrations, LambdaMigrations, Migrations } from '../../config/migrations-config.ts';
import { ANSWER_MINUTES } from '../../config/pending-config.ts';
import type { ResourceNames } from '../../config/resource-names.ts';
import { withNulls } from '../null-parameters.ts';
import { RawTaskState } from '../raw-task-state.ts';
import {
  catchAll,
  IDLE_FUNCTION_RETRY,
  NOT_STARTED_FUNCTION_RETRY,
  NOT_STARTED_TASK_RETRIES,
} from '../retry-and-catch.ts';
import { DEPLOY } from '../state-names.ts';
import { mayRunTask } from './ecs-task-permissions.ts';
import { runTaskParameters } from './run-ecs-task.ts';
import { functionArn } from './run-lambda-function.ts';

interface AskProps {
  names: ResourceNames;
  /** The state after the answer, or without one. */
  next: IChainable;
}

/** Where the answer is: null, `{ answer }`, or the error of the task or function. */
const ANSWER_PATH = '$.pending';

/** Whether the application's own task or function says what is pending. */
export function asksRunner(migrations: Migrations): migrations is EcsTaskMigrations | LambdaMigrations {
  if (migrations.runner === 'ecs-task') return migrations.pending?.command !== undefined;
  return migrations.runner === 'lambda' && migrations.pending?.payload !== undefined;
}

/**
 * Asks the application's own task or function what is pending, in the modes `deploy` and `plan`, while the services run. Whatever
 * happens, preflight continues: without an answer, it is unknown what is pending. A task that has not answered in time is in the
 * group of the migration tasks, so that the window stops it before it migrates.
 * @returns the first state
 */
export function askWhatIsPending(
  scope: Construct,
  migrations: EcsTaskMigrations | LambdaMigrations,
  { names, next }: AskProps,
): Choice {
  const props = { ...askingOf(scope, migrations, names), resultPath: ANSWER_PATH };
  const ask = new RawTaskState(scope, DEPLOY.pending.ask, {
    comment: 'Asks the task or function of the application what is pending. It changes nothing',
    taskTimeout: Timeout.duration(
      Duration.seconds(Math.ceil((migrations.pending?.timeoutMinutes ?? ANSWER_MINUTES) * 60)),
    ),
    ...props,
  });
  const retries =
    migrations.runner === 'ecs-task'
      ? NOT_STARTED_TASK_RETRIES
      : [NOT_STARTED_FUNCTION_RETRY, IDLE_FUNCTION_RETRY];
  for (const retry of retries) ask.addRetry(retry);
  catchAll(ask, next, ANSWER_PATH);
  ask.next(next);
  const isMode = (mode: string) =>
    Condition.and(Condition.isPresent('$.input.mode'), Condition.stringEquals('$.input.mode', mode));
  const isRefused = Condition.and(
    Condition.not(Condition.stringEquals('$.lock.status', 'held')),
    Condition.not(isMode('plan')),
  );
  return new Choice(scope, DEPLOY.pending.needed)
    .when(Condition.or(isMode('indexes'), isMode('start-services'), isRefused), next)
    .otherwise(ask);
}

function askingOf(scope: Construct, migrations: EcsTaskMigrations | LambdaMigrations, names: ResourceNames) {
  if (migrations.runner === 'ecs-task') {
    return {
      resource: `arn:${Aws.PARTITION}:states:::ecs:runTask.sync`,
      parameters: {
        ...runTaskParameters(migrations, migrations.pending?.command),
        Group: names.migrationGroup,
      },
      // Only the exit code answers, and it is 0 here.
      resultSelector: { answer: { pending: [] } },
      policies: mayRunTask(scope, migrations),
    };
  }
  return {
    resource: `arn:${Aws.PARTITION}:states:::lambda:invoke`,
    parameters: {
      FunctionName: migrations.function,
      Payload: {
        deploy: JsonPath.executionName,
        execution: JsonPath.executionId,
        environment: names.environmentName,
        payload: withNulls(migrations.pending?.payload ?? {}),
      },
    },
    resultSelector: { 'answer.$': '$.Payload' },
    policies: [
      new PolicyStatement({
        actions: ['lambda:InvokeFunction'],
        resources: [functionArn(scope, migrations.function)],
      }),
    ],
  };
}
