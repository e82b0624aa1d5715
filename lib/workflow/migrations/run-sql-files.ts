import { Choice, Condition, type IChainable, JsonPath, TaskInput } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { invokeFunction } from '../invoke-function.ts';
import { MIGRATION_RETRY } from '../retry-and-catch.ts';
import { MIGRATIONS } from '../state-names.ts';
import { catchBroken, MIGRATIONS_PATH, type MigrateProps, migrationBroke } from './migration-states.ts';

/** The runner sql: the function run-migrations applies the files. SQL that fails is its answer, not its error. */
export function runSqlFiles(scope: Construct, props: MigrateProps): IChainable {
  const runner = { name: 'sql' } as const;
  const run = invokeFunction(scope, MIGRATIONS.run, props.functions, {
    function: 'run-migrations',
    payload: TaskInput.fromObject({ deploy: JsonPath.stringAt('$.deploy') }),
    result: {
      path: MIGRATIONS_PATH,
      selector: { output: { 'status.$': '$.Payload.status', runner, 'answer.$': '$.Payload' } },
    },
    comment: 'All pending ones in one transaction: it applies them all or none',
  });
  run.addRetry(MIGRATION_RETRY);
  catchBroken(run, migrationBroke(scope, runner, props.failed));
  run.next(
    new Choice(scope, MIGRATIONS.areApplied)
      .when(Condition.stringEquals('$.migrations.output.status', 'applied'), props.next)
      .otherwise(props.failed),
  );
  return run;
}
