import { z } from 'zod';
import type { CaughtError } from '../shared/payloads.ts';

/** The parts of an ECS task's description that tell why it failed; each may be missing. */
const taskSchema = z.object({
  TaskArn: z.string().optional().catch(undefined),
  TaskDefinitionArn: z.string().optional().catch(undefined),
  StopCode: z.string().optional().catch(undefined),
  StoppedReason: z.string().optional().catch(undefined),
  Containers: z
    .array(
      z.object({
        Name: z.string().optional().catch(undefined),
        ExitCode: z.number().optional().catch(undefined),
        Reason: z.string().optional().catch(undefined),
      }),
    )
    .catch([]),
});

/** How a task ended, out of the Cause that `ecs:runTask.sync` fails with. */
export interface EndedTask {
  /** The last part of its ARN. Null: it is not told. */
  readonly id: string | null;
  /** FAMILY:REVISION. Null: it is not told. */
  readonly definition: string | null;
  /** Null: the container did not come to run, or is not told of. */
  readonly exitCode: number | null;
  /** The task's and the container's reasons, in sentences. Empty: there are none. */
  readonly reasons: string;
}

/**
 * Reads the Cause of a task that failed: its description as JSON text. This is the one place where a Cause is parsed.
 * @returns null where it is anything else, as an error of ECS's API has a plain sentence
 */
export function readTaskFailure({ Cause }: CaughtError, container: string): EndedTask | null {
  let cause: unknown;
  try {
    cause = JSON.parse(Cause ?? '');
  } catch {
    return null;
  }
  const parsed = taskSchema.safeParse(cause);
  if (!parsed.success || (parsed.data.TaskArn ?? parsed.data.StoppedReason) === undefined) return null;
  const task = parsed.data;
  const own = task.Containers.find(({ Name }) => Name === container);
  return {
    id: lastPart(task.TaskArn),
    definition: lastPart(task.TaskDefinitionArn),
    exitCode: own?.ExitCode ?? null,
    reasons: [...new Set([task.StoppedReason, own?.Reason])]
      .filter((reason) => reason !== undefined && reason !== '')
      .join('; '),
  };
}

function lastPart(arn: string | undefined): string | null {
  return arn === undefined ? null : arn.slice(arn.lastIndexOf('/') + 1);
}
