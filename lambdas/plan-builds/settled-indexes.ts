import { type Build, entryTarget } from '../postgres/build-target.ts';
import type { Client } from '../postgres/client.ts';
import { type Attempt, ensureLedger, recordFailure } from '../postgres/ledger.ts';
import { describeDatabaseError } from '../postgres/sqlstate.ts';
import { findItem } from '../shared/build-item.ts';
import type { PlanBuildsEvent, SettledIndex } from '../shared/build-payloads.ts';
import { BuildFailed, LockNotAvailable } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import type { CompiledRegistry } from '../shared/registry.ts';
import { shortened } from '../shared/text.ts';
import type { UnrecordedFailure } from '../shared/unrecorded-failure.ts';

/*
 * Settle Index records a failure in the ledger, from which Plan Again knows that no further attempt follows. If Settle Index
 * fails itself, or if the ledger accepts no row for an index, the failure travels in the states, so that no round attempts
 * the build again and the report names it.
 */

/** Longest message of a failure in the state, in characters. */
const LONGEST_MESSAGE = 300;

/** Longest reason for which the ledger did not accept a failure, in characters. */
const LONGEST_REASON = 200;

/** All failures in a state, as JSON. The state of a round also contains the names of its 500 builds. */
const MOST_BYTES = 32 * 1024;

/** Attempts that need no record: Settle Index or Check Index has written their result. */
const ENDED: readonly Attempt['status'][] = ['failed', 'built', 'repaired', 'present', 'retired', 'kept'];

/**
 * The failures in a plan's event that the ledger does not contain, by item: those of earlier rounds, and those of the round
 * that has just ended.
 */
export function failuresInState(
  event: PlanBuildsEvent,
  attempts: readonly Attempt[],
): Map<string, UnrecordedFailure> {
  const last = new Map(attempts.map((attempt) => [attempt.item, attempt]));
  const all = [
    ...(event.request.unrecordedFailures ?? []),
    ...(event.unrecordedFailures ?? []),
    ...(event.settled ?? []).map((settled) => failureOf(settled, last.get(settled.index))),
  ];
  return new Map(
    all.flatMap((failure) => {
      const status = last.get(failure.index)?.status;
      return status !== undefined && ENDED.includes(status) ? [] : [[failure.index, failure]];
    }),
  );
}

function failureOf(
  { index, error, settleError }: SettledIndex,
  last: Attempt | undefined,
): UnrecordedFailure {
  const cause = last?.message ?? `Index ${index}: the build failed with the error ${error}.`;
  const settling =
    settleError === undefined
      ? 'Settle Index did not record the failure.'
      : `Settle Index failed, too, with the error ${settleError}.`;
  const logs = 'The logs of the functions build-index and settle-index contain the errors.';
  return {
    index,
    sqlstate: last?.sqlstate ?? null,
    message: `${shortened(cause, LONGEST_MESSAGE)} ${settling} ${logs}`,
  };
}

const NOT_ACCEPTED = 'The ledger did not accept this failure:';

/** A failure of an earlier round has its reason already. */
function withReason(failure: UnrecordedFailure, reason: string): UnrecordedFailure {
  if (failure.message.includes(NOT_ACCEPTED)) return failure;
  return { ...failure, message: `${failure.message} ${NOT_ACCEPTED} ${shortened(reason, LONGEST_REASON)}` };
}

interface RecordFailuresIo {
  registry: CompiledRegistry;
  deploy: string;
  log: Log;
}

/**
 * Writes failures to the ledger, each separately.
 * @returns the failures that the ledger did not accept
 * @throws BuildFailed when they are too large for the state
 */
export async function recordFailures(
  client: Client,
  failures: readonly UnrecordedFailure[],
  { registry, deploy, log }: RecordFailuresIo,
): Promise<UnrecordedFailure[]> {
  const unrecorded: UnrecordedFailure[] = [];
  let reason = '';
  let isLocked = false;
  for (const failure of failures) {
    const index = findItem(registry, failure.index)?.index;
    if (index === undefined) continue;
    const build: Build = { client, deploy, target: entryTarget(index, failure.index), log };
    try {
      // Each attempt to lock the ledger takes seconds.
      if (isLocked) throw new LockNotAvailable(reason);
      await ensureLedger(client);
      await recordFailure(build, { message: failure.message });
    } catch (error) {
      reason = describeDatabaseError(error);
      isLocked = error instanceof LockNotAvailable;
      log.error('The failure of an index could not be written to the ledger.', { ...failure, reason });
      unrecorded.push(withReason(failure, reason));
    }
  }
  if (Buffer.byteLength(JSON.stringify(unrecorded)) > MOST_BYTES) {
    throw new BuildFailed(
      `${unrecorded.length} indexes failed, and the ledger deploy_step.index_builds does not accept a row for any of them. ` +
        `The last reason: ${reason}`,
    );
  }
  return unrecorded;
}
