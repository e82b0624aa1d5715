import { Choice, Condition, type IChainable, JsonPath, TaskInput } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { invokeFunction } from '../invoke-function.ts';
import { catchAll, MIGRATION_RETRY } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import { ERROR_PATH, MIGRATIONS_PATH, type MigrateProps, recordMigrationError } from './migration-states.ts';

/**
 * The runner `sql`: the function run-migrations applies the files. When SQL fails, the function returns the failure as its
 * result and does not throw.
 */
export function runSqlFiles(scope: Construct, props: MigrateProps): IChainable {
  const runner = { name: 'sql' } as const;
  const run = invokeFunction(scope, MIGRATIONS.run, props.functions, {
    function: 'run-migrations',
    payload: TaskInput.fromObject({ deploy: JsonPath.stringAt('$.deploy') }),
    result: {
      path: MIGRATIONS_PATH,
      selector: { output: { 'status.$': '$.Payload.status', runner, 'answer.$': '$.Payload' } },
    },
    comment: 'Applies all pending migrations in one transaction',
  });
  run.addRetry(MIGRATION_RETRY);
  catchAll(run, recordMigrationError(scope, runner, props.failed), ERROR_PATH);
  run.next(
    new Choice(scope, MIGRATIONS.areApplied)
      .when(Condition.stringEquals('$.migrations.output.status', 'applied'), props.next)
      .otherwise(props.failed),
  );
  return run;
}
