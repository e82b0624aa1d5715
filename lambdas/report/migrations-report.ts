import { DEADLOCK_DETECTED, LOCK_NOT_AVAILABLE } from '../postgres/sqlstate.ts';
import { describeCaught } from '../shared/caught-error.ts';
import {
  describeMigrationFailure,
  type LambdaRunner,
  type MigrationFailure,
  type MigrationRunnerName,
  migrationFailureSchema,
} from '../shared/migration-runner.ts';
import { type ReportState, runMigrationsResultSchema, type WindowMigrations } from '../shared/payloads.ts';
import type { CaughtError } from '../shared/preflight-payloads.ts';
import type { MigrationsReport } from '../shared/report-schema.ts';
import { visible } from '../shared/visible-text.ts';
import { ecsTaskFailure } from './ecs-task-failure.ts';
import { appliedAfterFailure, type MigrationFacts } from './migration-facts.ts';
import {
  type Failure,
  FIX_AND_START_AGAIN,
  isTimeout,
  START_AGAIN,
  UNKNOWN_PLACE,
  USE_ECS_TASK,
} from './migration-failure.ts';

/** What is known about pending migrations. */
interface Known {
  /** What the database says now about SQL files. Null: it could not be read, or there are no SQL files. */
  readonly facts: MigrationFacts | null;
  /** What preflight knew for another runner. Absent: it examined nothing. */
  readonly before?: ReportState['pendingMigrations'];
}

/** What ran the migrations of a deploy. */
interface Ran extends Pick<ReportState, 'onlineMigrations' | 'onlineFailure'> {
  /** Of the maintenance window. */
  readonly window?: WindowMigrations | null | undefined;
}

/**
 * The report's part about the migrations.
 */
export function migrationsReport(runner: MigrationRunnerName, ran: Ran, known: Known): MigrationsReport {
  const { facts } = known;
  const online = onlineMigrations(ran);
  const report = reportOf(runner, ran.window ?? online, known);
  const appliedOnline =
    ran.onlineFailure === undefined || online === null ? appliedOf(online?.answer) : (facts?.applied ?? []);
  const applied = [...new Set([...appliedOnline, ...report.applied])];
  const { failure } = report;
  const isOnline = failure !== null && online?.status === 'failed';
  return {
    ...report,
    applied,
    appliedOnline,
    pendingOnline: facts?.pendingOnline ?? [],
    failure: isOnline ? whileServicesRan(failure, appliedOnline) : failure,
  };
}

/** The files that were applied before anything was stopped, as a result of the window's. Null: there were none. */
function onlineMigrations({ onlineMigrations: ran, onlineFailure: caught }: Ran): WindowMigrations | null {
  const runner = { name: 'sql' } as const;
  if (caught !== undefined) return { status: 'failed', runner, caught };
  if (ran === undefined) return null;
  const { status, answer } = ran.output;
  return { status: status === 'failed' ? 'failed' : 'applied', runner, answer };
}

function whileServicesRan(failure: Failure, applied: readonly string[]): Failure {
  const before = applied.length === 0 ? '' : ` Applied before it: ${applied.join(', ')}.`;
  return {
    ...failure,
    message: `${failure.message.replace(/\.$/, '')}. It was to be applied while the services ran, so they were not stopped.${visible(before)}`,
  };
}

function reportOf(
  runner: MigrationRunnerName,
  ran: WindowMigrations | null,
  { facts, before }: Known,
): MigrationsReport {
  const pending = facts?.pending ?? (ran?.status === 'applied' ? [] : (before?.names ?? []));
  const known = before?.known === true && { known: true };
  if (ran === null) return { runner, outcome: 'not-run', applied: [], pending, failure: null, ...known };
  if (ran.status === 'failed') {
    const applied = ran.caught === undefined ? appliedOf(ran.answer) : (facts?.applied ?? []);
    return { runner, outcome: 'failed', applied, pending, failure: failureOf(ran, facts), ...known };
  }
  return { runner, outcome: 'succeeded', applied: appliedOf(ran.answer), pending, failure: null, ...known };
}

/** Names of the applied migrations, if the answer has them: a function of the application may return anything. */
function appliedOf(answer: unknown): string[] {
  if (typeof answer !== 'object' || answer === null || !('applied' in answer)) return [];
  return Array.isArray(answer.applied) ? answer.applied.filter((name) => typeof name === 'string') : [];
}

function failureOf(ran: WindowMigrations, facts: MigrationFacts | null): Failure {
  const failure = failureOfRunner(ran, facts);
  if (ran.stillRunning === undefined) return failure;
  return {
    ...failure,
    message: `${failure.message} When the services were started, the migration was still running: ${visible(ran.stillRunning)}.`,
    next: [
      'Check whether the migration has ended. Until then it can lock tables that the services use, and change them. End it if it must not continue.',
      ...failure.next,
    ],
  };
}

function failureOfRunner(
  { runner, answer, caught }: WindowMigrations,
  facts: MigrationFacts | null,
): Failure {
  switch (runner.name) {
    case 'sql':
      return caught === undefined ? statementFailure(answer) : functionFailureOfSql(caught, facts);
    case 'ecs-task':
      return ecsTaskFailure(runner, caught ?? { Error: 'unknown' });
    case 'lambda':
      return functionFailure(runner, caught ?? { Error: 'unknown' });
  }
}

/** A statement of an SQL file failed. */
function statementFailure(answer: unknown): Failure {
  const reported = runMigrationsResultSchema.safeParse(answer).data?.failure ?? null;
  const failure =
    reported ?? migrationFailureSchema.parse({ file: null, sqlstate: null, message: 'unknown' });
  return {
    ...failure,
    log: null,
    message: describeMigrationFailure(failure),
    next: [nextStepOf(failure)],
  };
}

function nextStepOf({ sqlstate }: MigrationFailure): string {
  switch (sqlstate) {
    case LOCK_NOT_AVAILABLE:
      return `Wait until the sessions that block it have ended, or end them: select pg_terminate_backend(PID); (a prepared transaction as the status above says). Then ${START_AGAIN}. To wait longer for locks, raise migrations.attempts or migrations.lockTimeoutSeconds.`;
    case DEADLOCK_DETECTED:
      return `Another session and the migration waited for each other. The server's log has the statement of that session: end or stop it, then ${START_AGAIN}.`;
    default:
      return FIX_AND_START_AGAIN;
  }
}

/** The function that runs the SQL files failed itself, so only the database knows what it applied. */
function functionFailureOfSql(caught: CaughtError, facts: MigrationFacts | null): Failure {
  const { changes, sentence } = appliedAfterFailure(facts);
  const failure = { ...UNKNOWN_PLACE, changes, log: null };
  if (changes === 'some') {
    return {
      ...failure,
      message: `The function that applies the migrations failed, but ${sentence}: ${describeCaught(caught)}`,
      next: [`The migrations need no repair: ${START_AGAIN}. It continues with the indexes.`],
    };
  }
  if (!isTimeout(caught)) {
    return {
      ...failure,
      message: `The migrations failed, and ${sentence}: ${describeCaught(caught)}`,
      next: [FIX_AND_START_AGAIN],
    };
  }
  return {
    ...failure,
    message: `The migrations took longer than 15 minutes, the limit of a Lambda function, and ${sentence}. ${USE_ECS_TASK}`,
    next: [`Use the runner ecs-task for the long migration, or make it shorter. Then ${START_AGAIN}.`],
  };
}

/** The application's own function failed. */
function functionFailure({ function: name, timeoutMinutes }: LambdaRunner, caught: CaughtError): Failure {
  const log = `CloudWatch log group /aws/lambda/${functionName(name)}`;
  const next = [
    `Read the log of the function (${log}) and fix the cause, then ${START_AGAIN}. The changes that the function made before it failed remain.`,
  ];
  const failure = { ...UNKNOWN_PLACE, log, next };
  if (caught.Error === 'States.DataLimitExceeded') {
    return {
      ...failure,
      message: `The migration function ${name} returned more than 256 KiB, the limit of Step Functions. Its changes remain. Let it return {"applied": ["name", …]} or nothing.`,
    };
  }
  if (isTimeout(caught)) {
    return {
      ...failure,
      message: `The migration function ${name} did not end within its time limit, or within ${timeoutMinutes} minutes (migrations.timeoutMinutes). A Lambda function can run for 15 minutes. ${USE_ECS_TASK}`,
    };
  }
  return { ...failure, message: `The migration function ${name} failed: ${describeCaught(caught)}` };
}

function functionName(nameOrArn: string): string {
  return nameOrArn.replace(/^arn:.*:function:/, '').replace(/:.*$/, '');
}
