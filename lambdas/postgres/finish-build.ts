import type { BuildIndexResult } from '../shared/build-payloads.ts';
import { BuildFailed } from '../shared/errors.ts';
import { attachConstraint } from './attach-constraint.ts';
import type { Build } from './build-target.ts';
import type { CatalogEntry } from './catalog.ts';
import {
  analyzeTable,
  dropLeftovers,
  dropReplacement,
  prepareReplacement,
  StillDropping,
  swapIndex,
} from './index-ddl.ts';
import type { Obstacle } from './index-properties.ts';
import { type Attempt, recordAttempt } from './ledger.ts';
import { blockedFailure, describeBlockersOfFailure, locksOf } from './lock-failure.ts';
import { attachPartitionIndex } from './partition-tree.ts';
import { describeUnrepairable } from './replacement.ts';
import { DEPENDENT_OBJECTS_STILL_EXIST, LOCK_NOT_AVAILABLE, sqlstateOf } from './sqlstate.ts';

/**
 * Does what remains to be done for an index that is valid: collects statistics, attaches it, swaps it in or adds its constraint,
 * and records the result. Every step can be repeated. The caller holds the index's advisory lock.
 * @param found the catalog entry of the valid index
 * @param last the last attempt of this deploy. Undefined, or with the number 0: another session built the index
 * @throws lock_not_available: the next attempt finds the index valid and continues here
 */
export async function finishBuild(
  build: Build,
  found: CatalogEntry,
  last: Pick<Attempt, 'attempt' | 'repairs'> | undefined,
): Promise<BuildIndexResult> {
  const { client, target, log } = build;
  const isSwap = target.finish.kind === 'swap';
  if (isSwap) await namingBlockers(build, last, () => prepareReplacement(client, target));
  if (last !== undefined && target.expression) await analyze(build);
  if (target.finish.kind === 'constraint') {
    const other = await attachConstraint(build, last);
    if (other !== null) return other;
  }
  if (target.finish.kind === 'attach') {
    await attachPartitionIndex(client, target.entry, target.finish.parent, target);
  }
  const obstacle =
    (isSwap ? await namingBlockers(build, last, () => swapIndex(client, target)) : null) ??
    (await dropLeftovers(client, target));
  if (obstacle !== null) return await keepOldIndex(build, obstacle, last);
  if (last === undefined || last.attempt === 0) {
    if (last !== undefined) await recordAttempt(build, last.attempt, { status: 'present' });
    return { state: 'done', status: 'present', waitSeconds: 1 };
  }
  const status = last.repairs ? 'repaired' : 'built';
  await recordAttempt(build, last.attempt, { status, bytes: found.bytes });
  log.info('The index is valid.', { index: target.item, attempt: last.attempt, status, bytes: found.bytes });
  return { state: 'done', status, waitSeconds: 1 };
}

/** Completes the row of an attempt at what was dropped meanwhile: that is no failure, because no index is needed any more. */
export async function recordGone(build: Build, last: Attempt | undefined, message: string): Promise<void> {
  build.log.info(message, { index: build.target.item });
  if (last !== undefined) await recordAttempt(build, last.attempt, { status: 'present', message });
}

/** Runs a step of the swap. Its error names the sessions that block it. */
async function namingBlockers<T>(
  build: Build,
  last: Pick<Attempt, 'attempt'> | undefined,
  step: () => Promise<T>,
): Promise<T> {
  const { client, target } = build;
  try {
    return await step();
  } catch (error) {
    // The session is busy with the drop of the old index.
    if (error instanceof StillDropping) throw error;
    const locks = locksOf(target);
    const blockedBy = await describeBlockersOfFailure(client, { session: client, error, locks });
    if (blockedBy === '') throw error;
    const failure = blockedFailure(
      new Error(`Index ${target.item}: its replacement is built, and the next attempt swaps it in.`),
      blockedBy,
    );
    if (last !== undefined) {
      const { message, sqlstate } = failure;
      await recordAttempt(build, last.attempt, { status: 'retrying', message, sqlstate, blockedBy });
    }
    throw failure;
  }
}

/** Something depends on the old index that its replacement cannot get: drops the replacement. */
async function keepOldIndex(
  build: Build,
  obstacle: Obstacle,
  last: Pick<Attempt, 'attempt'> | undefined,
): Promise<BuildIndexResult> {
  const { client, target, log } = build;
  if (target.finish.kind === 'swap') {
    await dropReplacement(client, target);
    if (target.finish.repairs) {
      throw new BuildFailed(describeUnrepairable(target.entry, obstacle), {
        sqlstate: DEPENDENT_OBJECTS_STILL_EXIST,
      });
    }
  }
  const message = `Index ${target.item} was not replaced, because it ${obstacle.reason}: ${obstacle.fix}.`;
  log.warn(message, { index: target.item });
  if (last !== undefined) await recordAttempt(build, last.attempt, { status: 'drifted', message });
  return { state: 'done', status: 'drifted', waitSeconds: 1 };
}

/** The index is valid. That its table is locked at this moment must not fail it. */
async function analyze({ client, target, log }: Build): Promise<void> {
  try {
    await analyzeTable(client, target);
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    log.warn('The index has no statistics, because its table is locked. Run ANALYZE on the table.', {
      index: target.item,
    });
  }
}
