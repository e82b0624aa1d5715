import { setTimeout as sleep } from 'node:timers/promises';
import type { Execution, PreflightLock } from '../shared/preflight-payloads.ts';

/** A running execution of `deploy`. */
export interface RunningDeploy {
  /** Empty: it runs outside of Step Functions. */
  arn: string;
  name: string;
  /** Milliseconds since 1970. */
  startedAt: number;
}

interface OtherDeploysIo {
  /** Lists the running executions of `deploy`. */
  runningDeploys: () => Promise<RunningDeploy[]>;
  /** Whether an execution of `deploy` only plans. */
  isPlan: (executionArn: string) => Promise<boolean>;
  /** Pauses before the list is read again, in milliseconds. */
  listPauses: readonly number[];
  /** How a person aborts a running deploy, for the refusal. */
  howToAbort: string;
}

/**
 * Pauses for an older deploy that is still listed: it has just ended, or it is about to be refused because this one holds the
 * lock. 47 s in total.
 */
export const LIST_PAUSES_MS = [1_000, 2_000, 4_000, 8_000, 8_000, 8_000, 8_000, 8_000];

/**
 * Why this execution does not hold the lock that allows one deploy at a time. Null: it holds the lock, or needs none.
 * @param howToAbort continues "Wait until it ends, or "
 */
export function refusalForLock(lock: PreflightLock, howToAbort: string): string | null {
  switch (lock.status) {
    case 'held':
    case 'not-needed':
      return null;
    case 'held-by-other': {
      const { execution, deploy, startedAt } = lock.holder;
      return refusalFor(
        { arn: execution, name: deploy ?? 'unknown', startedAt: startedAt ?? null },
        howToAbort,
      );
    }
    case 'failed':
      return (
        `The lock that allows one deploy at a time, the parameter ${lock.parameter}, could not be acquired: ` +
        `${[lock.error.Error, lock.error.Cause?.replace(/\.$/, '')].filter(Boolean).join(': ')}. ` +
        'Fix the cause, then start this deploy again.'
      );
  }
}

/**
 * Why this execution must not continue: an execution of `deploy` that started earlier is running. It holds no lock: an earlier
 * version of the product has no lock, a run of another process on this machine has a lock in the database, and an execution
 * that was redriven may have lost it. Executions that started later are ignored: they do not get the lock. So are plans, which change
 * nothing. Null: there is none.
 */
export async function refusalForOlder(execution: Execution, io: OtherDeploysIo): Promise<string | null> {
  for (const pause of [...io.listPauses, null]) {
    const running = await listUnlessThrottled(io, pause === null);
    const older = running === null ? null : await olderThan(execution, running, io);
    if (older === undefined) return null;
    // The list is eventually consistent. What runs outside of Step Functions is not in it by mistake.
    if (older !== null && (pause === null || older.arn === '')) {
      return refusalFor({ ...older, startedAt: new Date(older.startedAt).toISOString() }, io.howToAbort);
    }
    if (pause !== null) await sleep(pause);
  }
  return null;
}

/** Names of errors of throttling. Step Functions does not model them. */
const THROTTLING = ['ThrottlingException', 'TooManyRequestsException', 'RequestLimitExceeded', 'Throttling'];

/**
 * @returns null when the call was throttled
 * @throws the error of the call, and in the last attempt that of throttling
 */
async function listUnlessThrottled(io: OtherDeploysIo, isLast: boolean): Promise<RunningDeploy[] | null> {
  try {
    return await io.runningDeploys();
  } catch (error) {
    if (!isLast && error instanceof Error && THROTTLING.includes(error.name)) return null;
    throw error;
  }
}

/** The oldest of the other deploys that started before this one. Undefined: there is none. */
async function olderThan(
  execution: Execution,
  running: readonly RunningDeploy[],
  { isPlan }: Pick<OtherDeploysIo, 'isPlan'>,
): Promise<RunningDeploy | undefined> {
  const startedAt = Date.parse(execution.startedAt);
  const older = running
    .filter((other) => other.arn !== execution.id && (other.arn === '' || other.startedAt < startedAt))
    .toSorted((a, b) => a.startedAt - b.startedAt);
  for (const other of older) if (other.arn === '' || !(await isPlan(other.arn))) return other;
  return undefined;
}

function refusalFor(
  { arn, name, startedAt }: { arn: string; name: string; startedAt: string | null },
  howToAbort: string,
): string {
  const when = startedAt === null ? '' : `, started at ${startedAt}`;
  return (
    `Another deploy is running: ${name}${when}${arn === '' ? '' : ` (${arn})`}. ` +
    `Wait until it ends, or ${howToAbort}. Then start this deploy again.`
  );
}
