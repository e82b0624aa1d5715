import { describeCaught } from '../shared/caught-error.ts';
import {
  type EcsTaskRunner,
  type LambdaRunner,
  type MigrationFailure,
  type MigrationRunnerName,
  migrationFailureSchema,
  placeOf,
} from '../shared/migrations.ts';
import { type CaughtError, runMigrationsResultSchema, type WindowMigrations } from '../shared/payloads.ts';
import type { MigrationsReport } from '../shared/report.ts';
import { readTaskFailure } from './task-failure.ts';

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

type Failure = MigrationFailure & { log: string | null; next: string[] };

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

const NOWHERE = { file: null, line: null, statement: null, sqlstate: null, log: null };
const START_AGAIN = 'start the deploy again with the input {}';
const LONG_MIGRATION =
  'A migration that takes longer is a case for the runner ecs-task, which has as long as it needs: see migrations in docs/configuration.md.';

function sqlFailure(answer: unknown): Failure {
  const failure = runMigrationsResultSchema.safeParse(answer).data?.failure ?? null;
  const known = failure ?? migrationFailureSchema.parse({ file: null, sqlstate: null, message: 'unknown' });
  const where = `${placeOf(known)} failed, nothing of it was applied`;
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

function taskFailure(runner: EcsTaskRunner, caught: CaughtError): Failure {
  const { cluster, container, timeoutMinutes } = runner;
  const task = readTaskFailure(caught, container);
  const named = `task definition ${task?.definition ?? runner.taskDefinition}, cluster ${cluster}`;
  const log = logOf(runner, task?.id ?? null);
  const itsLog = log === null ? '' : ` Its log: ${log}.`;
  const more = (logged: string) => [
    `${logged} What the task applied before it failed stays applied, as far as its tool does not take it back.`,
    `Mend what the log names, then ${START_AGAIN}.`,
  ];
  if (task !== null) {
    const ended =
      task.exitCode === null
        ? `did not come to run, or told no exit code`
        : `ended with exit code ${task.exitCode}`;
    const reasons = task.reasons === '' ? '' : `: ${task.reasons.replace(/\.$/, '')}`;
    return {
      ...{ ...NOWHERE, log },
      message: `The migration failed: the container ${container} of the task ${task.id ?? 'unknown'} (${named}) ${ended}${reasons}.${itsLog}`,
      next: more(readLog(runner, task.id)),
    };
  }
  if (isTimeout(caught)) {
    return {
      ...{ ...NOWHERE, log },
      message: `The migration did not end within ${timeoutMinutes} minutes (migrations.timeoutMinutes), so its task was told to stop (container ${container}, ${named}).${itsLog}`,
      next: [
        `See that the task has stopped: aws ecs list-tasks --cluster ${cluster} --family ${familyOf(runner)}.`,
        ...more(readLog(runner, null)),
      ],
    };
  }
  return {
    ...{ ...NOWHERE, log: null },
    message: `The migration's task could not be run (container ${container}, ${named}). ${describeCaught(caught)}`,
    next: [`Mend what the status above names, then ${START_AGAIN}.`],
  };
}

/** The address of the container's log, as awslogs makes it. Null: the configuration does not tell. */
function logOf({ container, logs }: EcsTaskRunner, id: string | null): string | null {
  if (logs === null) return null;
  return `CloudWatch log group ${logs.group}, stream ${logs.streamPrefix}/${container}/${id ?? 'TASK-ID'}`;
}

function readLog(runner: EcsTaskRunner, id: string | null): string {
  const { container, logs } = runner;
  if (logs === null)
    return 'Read the log of the task (with migrations.logs configured, its address stands here).';
  const stream = id === null ? '' : ` --log-stream-names ${logs.streamPrefix}/${container}/${id}`;
  return `Read the log of the task: aws logs tail ${logs.group} --since 1d${stream}.`;
}

function familyOf({ taskDefinition }: EcsTaskRunner): string {
  return taskDefinition.replace(/^.*\//, '').replace(/:\d+$/, '');
}

function functionName(nameOrArn: string): string {
  return nameOrArn.replace(/^arn:.*:function:/, '').replace(/:.*$/, '');
}

/** The state's time limit, or that of the function, whose error has been called by either name. */
function isTimeout({ Error: name, Cause }: CaughtError): boolean {
  if (['States.Timeout', 'Sandbox.Timedout'].includes(name)) return true;
  return name !== 'States.TaskFailed' && /Task timed out after [\d.]+ seconds/.test(Cause ?? '');
}
