import { ArnFormat, Aws, Duration, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { type IChainable, JsonPath, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { LambdaMigrations } from '../../config/migrations-config.ts';
import { RawTask } from '../raw-task.ts';
import { IDLE_FUNCTION_RETRY, NOT_STARTED_FUNCTION_RETRY } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import {
  catchBroken,
  MIGRATIONS_PATH,
  type MigrateProps,
  migrationBroke,
  withNulls,
} from './migration-states.ts';

/** Beyond the function's own limit, whose error says more. */
const GRACE = Duration.seconds(30);

/**
 * The runner lambda: a function of the user's own. It gets `deploy`, `execution`, `environment` and the configured
 * `payload`; its error is the failure; it may answer with `{ "applied": ["name", …] }`.
 */
export function runFunction(scope: Construct, migrations: LambdaMigrations, props: MigrateProps): IChainable {
  const { function: name, timeoutMinutes, payload } = migrations;
  const runner = { name: 'lambda', function: name, timeoutMinutes } as const;
  const run = new RawTask(scope, MIGRATIONS.run, {
    comment: "A function of the application's own; that it throws is what tells a failure",
    resource: `arn:${Aws.PARTITION}:states:::lambda:invoke`,
    parameters: {
      FunctionName: name,
      Payload: {
        deploy: JsonPath.stringAt('$.deploy'),
        execution: JsonPath.stringAt('$.execution'),
        environment: props.environmentName,
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
  catchBroken(run, migrationBroke(scope, runner, props.failed));
  return run.next(props.next);
}

/** Just what is called: an alias does not give the right to the function itself. */
function functionArn(scope: Construct, nameOrArn: string): string {
  if (nameOrArn.startsWith('arn:')) return nameOrArn;
  return Stack.of(scope).formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: nameOrArn,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}
