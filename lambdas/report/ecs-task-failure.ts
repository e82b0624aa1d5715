import { describeCaught } from '../shared/caught-error.ts';
import { type EcsTaskRunner, familyOf } from '../shared/migration-runner.ts';
import type { CaughtError } from '../shared/preflight-payloads.ts';
import { shortened } from '../shared/text.ts';
import { oneLine } from '../shared/visible-text.ts';
import {
  type Failure,
  FIX_AND_START_AGAIN,
  isTimeout,
  START_AGAIN,
  UNKNOWN_PLACE,
} from './migration-failure.ts';

/** Why migrations in an ECS task failed: the task, its container and exit code, ECS's reason, and where the log is. */
export function ecsTaskFailure(runner: EcsTaskRunner, caught: CaughtError): Failure {
  const { cluster, container, timeoutMinutes } = runner;
  const task = readStoppedTask(caught, container);
  const place = `task definition ${task?.definition ?? runner.taskDefinition}, cluster ${cluster}`;
  const log = logOf(runner, task?.id ?? null);
  const logSentence = log === null ? '' : ` Its log: ${log}.`;
  const readLogAndFix = [
    `${readLogStep(runner, task?.id ?? null)} The changes that the task made before it failed remain, unless its tool rolls them back.`,
    `Fix the cause in the log, then ${START_AGAIN}.`,
  ];
  if (task !== null) {
    const end =
      task.exitCode === null ? 'did not start, or has no exit code' : `ended with exit code ${task.exitCode}`;
    const reasons = task.reasons === '' ? '' : `: ${task.reasons.replace(/\.$/, '')}`;
    return {
      ...{ ...UNKNOWN_PLACE, log },
      message: `The migration failed: the container ${container} of the task ${task.id ?? 'unknown'} (${place}) ${end}${reasons}.${logSentence}`,
      next: readLogAndFix,
    };
  }
  if (isTimeout(caught)) {
    return {
      ...{ ...UNKNOWN_PLACE, log },
      message: `The migration did not end within ${timeoutMinutes} minutes (migrations.timeoutMinutes), so the deploy stopped its task (container ${container}, ${place}).${logSentence}`,
      next: [
        `Check that the task has stopped: aws ecs list-tasks --cluster ${cluster} --family ${familyOf(runner.taskDefinition)}.`,
        ...readLogAndFix,
      ],
    };
  }
  return {
    ...{ ...UNKNOWN_PLACE, log: null },
    message: `The migration's task could not be run (container ${container}, ${place}). ${describeCaught(caught)}`,
    next: [FIX_AND_START_AGAIN],
  };
}

/** Where awslogs writes the container's log. Null: the configuration does not say. */
function logOf({ container, logs }: EcsTaskRunner, id: string | null): string | null {
  if (logs === null) return null;
  return `CloudWatch log group ${logs.group}, stream ${logs.streamPrefix}/${container}/${id ?? 'TASK-ID'}`;
}

function readLogStep({ container, logs }: EcsTaskRunner, id: string | null): string {
  if (logs === null)
    return 'Read the log of the task. (If you configure migrations.logs, this step shows the command.)';
  const stream = id === null ? '' : ` --log-stream-names ${logs.streamPrefix}/${container}/${id}`;
  return `Read the log of the task: aws logs tail ${logs.group} --since 1d${stream}.`;
}

/** Characters of a reason of ECS, which can quote what the container wrote. */
const LONGEST_REASON = 500;

interface StoppedTask {
  /** The last part of its ARN. Null: unknown. */
  readonly id: string | null;
  /** FAMILY:REVISION. Null: unknown. */
  readonly definition: string | null;
  /** Null: the container did not start, or the description does not name it. */
  readonly exitCode: number | null;
  /** The reasons of the task and of the container. Empty: there are no reasons. */
  readonly reasons: string;
}

/**
 * Reads the Cause that `ecs:runTask.sync` fails with: the task's description as JSON text. No other code parses a Cause.
 * @returns null for another Cause: an error of the ECS API has a plain sentence
 */
function readStoppedTask({ Cause }: CaughtError, container: string): StoppedTask | null {
  let cause: unknown;
  try {
    cause = JSON.parse(Cause ?? '');
  } catch {
    return null;
  }
  const { TaskArn, TaskDefinitionArn, StoppedReason, Containers } = fieldsOf(cause);
  if ((textOf(TaskArn) ?? textOf(StoppedReason)) === undefined) return null;
  const containers = Array.isArray(Containers) ? Containers.map(fieldsOf) : [];
  const { ExitCode, Reason } = containers.find(({ Name }) => Name === container) ?? {};
  return {
    id: lastPart(textOf(TaskArn)),
    definition: lastPart(textOf(TaskDefinitionArn)),
    exitCode: typeof ExitCode === 'number' ? ExitCode : null,
    reasons: [...new Set([textOf(StoppedReason), textOf(Reason)])]
      .flatMap((reason) => (reason === undefined || reason === '' ? [] : [oneLine(reason)]))
      .map((reason) => shortened(reason, LONGEST_REASON))
      .join('; '),
  };
}

/** The fields of a description, of which any may be missing or have another type. */
function fieldsOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}

function lastPart(arn: string | undefined): string | null {
  return arn === undefined ? null : arn.slice(arn.lastIndexOf('/') + 1);
}
