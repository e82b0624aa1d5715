import { type Choice, Condition, type IChainable, JsonPath, TaskInput } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { Environment } from '../../config/environment-config.ts';
import { sqlLimits } from '../../config/migrations-config.ts';
import type { ResourceNames } from '../../config/resource-names.ts';
import type { WorkflowFunctions } from '../../functions/workflow-functions.ts';
import { invokeFunction } from '../invoke-function.ts';
import { catchAll, MIGRATIONS_RUNNING_RETRY, migrationRetry } from '../retry-and-catch.ts';
import { DEPLOY } from '../state-names.ts';
import { requestedMigrations } from './wait-for-migrations.ts';

export interface ApplyOnlineProps {
  functions: WorkflowFunctions;
  names: ResourceNames;
  environment: Environment;
  /** The choice after this state. It gets branches for files that failed, and for more files. */
  applied: Choice;
  report: IChainable;
}

/**
 * The state of `deploy` that applies the files which are marked as online, before anything is stopped. A lock that is not acquired
 * is retried as in the maintenance window. After the last attempt the deploy ends: the services run as before, and no file after the
 * one that failed is applied. Writes the result to `$.onlineMigrations.output`.
 *
 * A function that outlives its deploy harms nothing: the services may run beside what it does, and it holds the lock of the
 * migrations, which the next deploy respects.
 */
export function applyOnline(
  scope: Construct,
  { functions, names, environment, applied, report }: ApplyOnlineProps,
): IChainable {
  const apply = invokeFunction(scope, DEPLOY.applyOnline, functions, {
    function: 'run-migrations',
    payload: TaskInput.fromObject({
      deploy: JsonPath.stringAt('$.deploy'),
      retryCount: JsonPath.numberAt('$$.State.RetryCount'),
      requested: requestedMigrations(names),
      scope: 'online',
    }),
    result: {
      path: '$.onlineMigrations',
      selector: { output: { 'status.$': '$.Payload.status', 'answer.$': '$.Payload' } },
    },
    comment:
      'Applies the files that are marked as online, each in a transaction of its own, while the services run',
  });
  apply.addRetry(MIGRATIONS_RUNNING_RETRY);
  const retry = migrationRetry(sqlLimits(environment.migrations));
  if (retry !== undefined) apply.addRetry(retry);
  catchAll(apply, report, '$.onlineFailure');
  const status = (value: string) => Condition.stringEquals('$.onlineMigrations.output.status', value);
  applied.when(status('failed'), report).when(status('more'), apply);
  return apply.next(applied);
}
