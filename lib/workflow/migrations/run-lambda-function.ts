import { ArnFormat, Aws, Duration, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { type IChainable, JsonPath, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { LambdaMigrations } from '../../config/migrations-config.ts';
import { withNulls } from '../null-parameters.ts';
import { RawTaskState } from '../raw-task-state.ts';
import { catchAll, IDLE_FUNCTION_RETRY, NOT_STARTED_FUNCTION_RETRY } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import { ERROR_PATH, MIGRATIONS_PATH, type MigrateProps, recordFunctionError } from './migration-states.ts';

/** Added to the function's own time limit, because the function's time-out error says more. */
const GRACE = Duration.seconds(30);

/**
 * The runner `lambda` invokes a function of the application. The function receives `deploy`, `execution`, `environment`
 * and the configured `payload`. The migrations fail if it throws an error. It may return `{ "applied": ["name", …] }`.
 */
export function runLambdaFunction(
  scope: Construct,
  migrations: LambdaMigrations,
  props: MigrateProps,
): IChainable {
  const { function: name, timeoutMinutes, payload } = migrations;
  const runner = { name: 'lambda', function: name, timeoutMinutes } as const;
  const run = new RawTaskState(scope, MIGRATIONS.run, {
    comment: 'Invokes a function of the application. An error that it throws is a failure',
    resource: `arn:${Aws.PARTITION}:states:::lambda:invoke`,
    parameters: {
      FunctionName: name,
      Payload: {
        deploy: JsonPath.stringAt('$.deploy'),
        execution: JsonPath.stringAt('$.execution'),
        environment: props.names.environmentName,
        payload: withNulls(payload),
      },
    },
    resultSelector: { output: { status: 'applied', runner, 'answer.$': '$.Payload' } },
    resultPath: MIGRATIONS_PATH,
    taskTimeout: Timeout.duration(Duration.seconds(Math.ceil(timeoutMinutes * 60)).plus(GRACE)),
    policies: [
      new PolicyStatement({ actions: ['lambda:InvokeFunction'], resources: [functionArn(scope, name)] }),
    ],
  });
  run.addRetry(NOT_STARTED_FUNCTION_RETRY);
  run.addRetry(IDLE_FUNCTION_RETRY);
  catchAll(run, recordFunctionError(scope, runner, props), ERROR_PATH);
  return run.next(props.next);
}

/** The ARN includes the alias or version, so that the permission does not cover the function itself. */
export function functionArn(scope: Construct, nameOrArn: string): string {
  if (nameOrArn.startsWith('arn:')) return nameOrArn;
  return Stack.of(scope).formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: nameOrArn,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}
