import type { CaughtError } from './payloads.ts';

const LONGEST = 2_000;

/**
 * A caught error for people. Nothing is decided by it: Lambda's Cause is JSON, a child execution's is JSON whose own Cause
 * may be JSON once more, that of an ECS task is its description, and Step Functions' own errors have plain text or none.
 */
export function describeCaught(error: CaughtError): string {
  return `${error.Error}: ${causeOf(error)}`.slice(0, LONGEST);
}

function causeOf(error: CaughtError): string {
  if (!error.Cause) return 'no cause was given';
  let cause: unknown;
  try {
    cause = JSON.parse(error.Cause);
  } catch {
    return error.Cause;
  }
  if (typeof cause !== 'object' || cause === null) return error.Cause;
  if ('errorMessage' in cause) return String(cause.errorMessage);
  if ('Error' in cause) {
    return describeCaught({
      Error: String(cause.Error),
      Cause: 'Cause' in cause ? String(cause.Cause) : null,
    });
  }
  if ('StoppedReason' in cause) return `${String(cause.StoppedReason)}${exitCodes(cause)}`;
  return 'Status' in cause ? `the execution ended as ${String(cause.Status)}` : error.Cause;
}

function exitCodes(task: object): string {
  const containers = 'Containers' in task && Array.isArray(task.Containers) ? task.Containers : [];
  const codes = containers.flatMap(({ ExitCode }: { ExitCode?: unknown }) =>
    typeof ExitCode === 'number' ? [ExitCode] : [],
  );
  return codes.length === 0 ? '' : ` (exit code ${codes.join(', ')})`;
}
