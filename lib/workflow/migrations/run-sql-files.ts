import { Choice, Condition, type IChainable, JsonPath, TaskInput } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { SqlMigrations } from '../../config/migrations-config.ts';
import { invokeFunction } from '../invoke-function.ts';
import { catchAll, MIGRATIONS_RUNNING_RETRY, migrationRetry } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import { ERROR_PATH, MIGRATIONS_PATH, type MigrateProps, recordFunctionError } from './migration-states.ts';
import { requestedMigrations } from './wait-for-migrations.ts';

/**
 * The runner `sql`: the function run-migrations applies the files. When SQL fails, the function returns the failure as its
 * result and does not throw. A lock or a deadlock is thrown and retried; the function returns it in the last attempt.
 */
export function runSqlFiles(scope: Construct, migrations: SqlMigrations, props: MigrateProps): IChainable {
  const runner = { name: 'sql' } as const;
  const run = invokeFunction(scope, MIGRATIONS.run, props.functions, {
    function: 'run-migrations',
    payload: TaskInput.fromObject({
      deploy: JsonPath.stringAt('$.deploy'),
      retryCount: JsonPath.numberAt('$$.State.RetryCount'),
      requested: requestedMigrations(props.names),
    }),
    result: {
      path: MIGRATIONS_PATH,
      selector: { output: { 'status.$': '$.Payload.status', runner, 'answer.$': '$.Payload' } },
    },
    comment: 'Applies all pending migrations in one transaction',
  });
  run.addRetry(MIGRATIONS_RUNNING_RETRY);
  const retry = migrationRetry(migrations);
  if (retry !== undefined) run.addRetry(retry);
  catchAll(run, recordFunctionError(scope, runner, props), ERROR_PATH);
  run.next(
    new Choice(scope, MIGRATIONS.areApplied)
      .when(Condition.stringEquals('$.migrations.output.status', 'applied'), props.next)
      .otherwise(props.failed),
  );
  return run;
}
