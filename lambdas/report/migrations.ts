import { describeCaught } from '../shared/caught-error.ts';
import {
  describeMigrationPlace,
  type LambdaRunner,
  type MigrationRunnerName,
  migrationFailureSchema,
} from '../shared/migration-runner.ts';
import { type CaughtError, runMigrationsResultSchema, type WindowMigrations } from '../shared/payloads.ts';
import type { MigrationsReport } from '../shared/report-schema.ts';
import { type Failure, isTimeout, LONG_MIGRATION, NOWHERE, START_AGAIN } from './migration-failure.ts';
import { taskFailure } from './task-failure.ts';

/** What became of the migrations. `pending` as the database tells it now, where that can be told. */
export function migrationsReport(
  runner: MigrationRunnerName,
  ran: WindowMigrations | null | undefined,
  pending: string[],
): MigrationsReport {
  if (ran == null) return { runner, outcome: 'not-run', applied: [], pending, failure: null };
  if (ran.status === 'failed') {
    return { runner, outcome: 'failed', applied: [], pending, failure: failureOf(ran) };
  }
  return { runner, outcome: 'succeeded', applied: appliedOf(ran.answer), pending, failure: null };
}

/** Names that were applied, where the answer has them: a function of the user's own may answer with anything. */
function appliedOf(answer: unknown): string[] {
  if (typeof answer !== 'object' || answer === null || !('applied' in answer)) return [];
  return Array.isArray(answer.applied) ? answer.applied.filter((name) => typeof name === 'string') : [];
}

function failureOf({ runner, answer, caught }: WindowMigrations): Failure {
  switch (runner.name) {
    case 'sql':
      return caught === undefined ? sqlFailure(answer) : sqlBroke(caught);
    case 'ecs-task':
      return taskFailure(runner, caught ?? { Error: 'unknown' });
    case 'lambda':
      return functionFailure(runner, caught ?? { Error: 'unknown' });
  }
}

function sqlFailure(answer: unknown): Failure {
  const failure = runMigrationsResultSchema.safeParse(answer).data?.failure ?? null;
  const known = failure ?? migrationFailureSchema.parse({ file: null, sqlstate: null, message: 'unknown' });
  const where = `${describeMigrationPlace(known)} failed, nothing of it was applied`;
  return {
    ...known,
    log: null,
    message: `${where}: ${known.statement === null ? '' : `${known.statement}: `}${known.message}`,
    next: [`Mend what the status above names, then ${START_AGAIN}.`],
  };
}

function sqlBroke(caught: CaughtError): Failure {
  if (!isTimeout(caught)) {
    return {
      ...NOWHERE,
      message: `The migrations failed, nothing of them was applied: ${describeCaught(caught)}`,
      next: [`Mend what the status above names, then ${START_AGAIN}.`],
    };
  }
  return {
    ...NOWHERE,
    message: `The migrations took longer than the 15 minutes that a Lambda function may run, and nothing of them was applied. ${LONG_MIGRATION}`,
    next: [`Run the long migration by the runner ecs-task, or make it shorter, then ${START_AGAIN}.`],
  };
}

function functionFailure({ function: name, timeoutMinutes }: LambdaRunner, caught: CaughtError): Failure {
  const log = `CloudWatch log group /aws/lambda/${functionName(name)}`;
  const next = [
    `Read its log (${log}) and mend what it names, then ${START_AGAIN}. What it applied stays applied.`,
  ];
  if (caught.Error === 'States.DataLimitExceeded') {
    return {
      ...{ ...NOWHERE, log },
      message: `The migration function ${name} answered with more than the 256 KiB that Step Functions takes. What it did stays done; it may answer with {"applied": ["name", …]} or with nothing.`,
      next,
    };
  }
  if (isTimeout(caught)) {
    return {
      ...{ ...NOWHERE, log },
      message: `The migration function ${name} did not end within its time limit, or within ${timeoutMinutes} minutes (migrations.timeoutMinutes). A Lambda function may run for 15 minutes. ${LONG_MIGRATION}`,
      next,
    };
  }
  return {
    ...{ ...NOWHERE, log },
    message: `The migration function ${name} failed: ${describeCaught(caught)}`,
    next,
  };
}

function functionName(nameOrArn: string): string {
  return nameOrArn.replace(/^arn:.*:function:/, '').replace(/:.*$/, '');
}
