import { describeCaught } from '../shared/caught-error.ts';
import { type EcsTaskRunner, familyOf } from '../shared/migration-runner.ts';
import type { CaughtError } from '../shared/payloads.ts';
import { readTaskFailure } from './ended-task.ts';
import { type Failure, isTimeout, NOWHERE, START_AGAIN } from './migration-failure.ts';

/** Of a task: which one, its container and exit code, the reason that ECS gives, and where its log is. */
export function taskFailure(runner: EcsTaskRunner, caught: CaughtError): Failure {
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
        `See that the task has stopped: aws ecs list-tasks --cluster ${cluster} --family ${familyOf(runner.taskDefinition)}.`,
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
