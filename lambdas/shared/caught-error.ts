import type { CaughtError } from './preflight-payloads.ts';
import { shortened } from './text.ts';
import { oneLine } from './visible-text.ts';

const LONGEST = 2_000;

/**
 * The text of a caught error for messages, in one line of at most 2,000 characters; no decision depends on it. The Cause of a Lambda function is JSON. That of a child
 * execution is JSON whose own Cause can be JSON again. That of an ECS task is the task's description. Errors of Step
 * Functions itself have a plain text or no Cause.
 */
export function describeCaught(error: CaughtError): string {
  // Cut before the white space of a long text is joined, and after an escape has made it longer.
  const text = `${error.Error}: ${withoutQuotedValues(causeOf(error))}`;
  return shortened(oneLine(shortened(text, 2 * LONGEST)), LONGEST);
}

/** What PostgreSQL's English messages put around values of rows, as they are in the errors of other programs. */
const VALUES: readonly [RegExp, string][] = [
  [/(\bKey \([^\n]*?\)=\()[^\n]*(\))/g, '$1…$2'],
  [/(\bFailing row contains \()[^\n]*(\))/g, '$1…$2'],
  [/(\bfailing row contains \([^\n]*?\) = \()[^\n]*(\))/g, '$1…$2'],
  [/(\binvalid input (?:syntax for type|value for enum) [^\n:]*: ")[^\n]*(")/g, '$1…$2'],
  [/(\b(?:value|field value) out of range: ")[^\n]*(")/g, '$1…$2'],
  [/(\bvalue ")[^\n]*(" is out of range for type)/g, '$1…$2'],
];

/** The text without the values in messages of PostgreSQL: the application's own code reports its errors as it received them. */
function withoutQuotedValues(text: string): string {
  return VALUES.reduce((rest, [pattern, shown]) => rest.replace(pattern, shown), text);
}

function causeOf(error: CaughtError): string {
  if (!error.Cause) return 'no cause was reported';
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
  return 'Status' in cause ? `the execution ended with status ${String(cause.Status)}` : error.Cause;
}

function exitCodes(task: object): string {
  const containers = 'Containers' in task && Array.isArray(task.Containers) ? task.Containers : [];
  const codes = containers.flatMap(({ ExitCode }: { ExitCode?: unknown }) =>
    typeof ExitCode === 'number' ? [ExitCode] : [],
  );
  return codes.length === 0 ? '' : ` (exit code ${codes.join(', ')})`;
}
