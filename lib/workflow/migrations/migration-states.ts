import { Errors, type IChainable, Pass, type TaskStateBase } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { MigrationRunner } from '../../../lambdas/shared/migration-runner.ts';
import type { WorkflowFunctions } from '../../functions/workflow-functions.ts';
import { NULL } from '../null-parameters.ts';
import { MIGRATIONS } from '../state-names.ts';

export interface MigrateProps {
  functions: WorkflowFunctions;
  environmentName: string;
  /** Where it goes on once the migrations are applied. */
  next: IChainable;
  /** The verdict of migrations that failed. Reads `$.migrations.output`, a WindowMigrations. */
  failed: IChainable;
}

/** Where each runner's state leaves a WindowMigrations. */
export const MIGRATIONS_PATH = '$.migrations';
const ERROR_PATH = '$.migrationError';

/** Turns whatever Run Migrations fails with into data, unread: the report's function reads the Cause. */
export function migrationBroke(scope: Construct, runner: MigrationRunner, failed: IChainable): Pass {
  const broke = new Pass(scope, MIGRATIONS.recordError, {
    parameters: { output: { status: 'failed', runner: rendered(runner), 'caught.$': ERROR_PATH } },
    resultPath: MIGRATIONS_PATH,
  });
  broke.next(failed);
  return broke;
}

/** All that can be caught: States.ALL leaves States.DataLimitExceeded out, so it is named. */
export function catchBroken(run: TaskStateBase, broke: IChainable): void {
  for (const error of ['States.DataLimitExceeded', Errors.ALL]) catchError(run, error, broke);
}

export function catchError(run: TaskStateBase, error: string, next: IChainable): void {
  run.addCatch(next, { errors: [error], resultPath: ERROR_PATH });
}

/** The runner as a part of parameters, which a plain null would be left out of. */
export function rendered(runner: MigrationRunner): Record<string, unknown> {
  return withNulls(runner) as Record<string, unknown>;
}

/** @returns the value with each null as the CDK writes one */
export function withNulls(value: unknown): unknown {
  if (value === null) return NULL;
  if (Array.isArray(value)) return value.map(withNulls);
  if (typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, withNulls(inner)]));
}
