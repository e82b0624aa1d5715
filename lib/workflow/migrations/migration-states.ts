import { Condition, type IChainable, Pass } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { MigrationRunner } from '../../../lambdas/shared/migration-runner.ts';
import type { Environment } from '../../config/environment-config.ts';
import type { ResourceNames } from '../../config/resource-names.ts';
import type { WorkflowFunctions } from '../../functions/workflow-functions.ts';
import { withNulls } from '../null-parameters.ts';
import { MIGRATIONS } from '../state-names.ts';
import { waitForMigrations } from './wait-for-migrations.ts';

export interface MigrateProps {
  functions: WorkflowFunctions;
  names: ResourceNames;
  environment: Environment;
  /** The state after successful migrations. */
  next: IChainable;
  /** The verdict when the migrations fail. Reads `$.migrations.output`, a WindowMigrations. */
  failed: IChainable;
}

/** Path of each runner's WindowMigrations. */
export const MIGRATIONS_PATH = '$.migrations';

/** Path, in the WindowMigrations, of what still runs after the deadline. */
export const STILL_RUNNING_PATH = `${MIGRATIONS_PATH}.output.stillRunning`;

/** Path of the error that the state Run Migrations failed with. */
export const ERROR_PATH = '$.migrationError';

/** Records the error of Run Migrations as data, unparsed: the function `report` reads its cause. */
export function recordMigrationError(scope: Construct, runner: MigrationRunner, next: IChainable): Pass {
  const record = new Pass(scope, MIGRATIONS.recordError, {
    parameters: { output: { status: 'failed', runner: withNulls(runner), 'caught.$': ERROR_PATH } },
    resultPath: MIGRATIONS_PATH,
  });
  record.next(next);
  return record;
}

/** Records the error of a function, and waits for its end: it may still run. */
export function recordFunctionError(scope: Construct, runner: MigrationRunner, props: MigrateProps): Pass {
  const wait = waitForMigrations(scope, {
    ...props,
    stillRunningPath: STILL_RUNNING_PATH,
    // Any other error is one of the function itself, or of its time limit: it has started.
    isFunctionCalled: Condition.stringMatches(`${ERROR_PATH}.Error`, 'Lambda.*'),
    next: props.failed,
  });
  return recordMigrationError(scope, runner, wait);
}
