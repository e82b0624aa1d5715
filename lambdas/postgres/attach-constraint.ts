import type { BuildIndexResult } from '../shared/build-payloads.ts';
import { BuildFailed, BuildInterrupted, LockNotAvailable } from '../shared/errors.ts';
import { type CompiledConstraint, tableId } from '../shared/registry.ts';
import { quoted } from '../shared/visible-text.ts';
import { blockersOfTable, describeBlockers, terminateIdle } from './blockers.ts';
import type { Build } from './build-target.ts';
import type { Client } from './client.ts';
import { type ConstraintState, readConstraintState } from './constraint-state.ts';
import { quotedTable, quoteIdentifier } from './identifiers.ts';
import { type Attempt, recordAttempt } from './ledger.ts';
import { LOCK_NOT_AVAILABLE, sqlstateOf, toDeployStepError } from './sqlstate.ts';
import { type ConstraintEntry, hasConstraint } from './table-constraints.ts';
import { withExclusiveTableLock } from './table-lock.ts';

/**
 * How long to try to lock the table, in seconds. Every query on the table waits behind each try, so it is short, and the Retry of the
 * definition makes the next one.
 */
const LOCK_TIMEOUT_SECONDS = 3;

/**
 * Adds the constraint of an entry with its index, which is valid. If the table cannot be locked, the index stays, and the next
 * attempt or deploy only adds the constraint.
 * @param last the attempt in the ledger that receives an error. Undefined: the deploy has made none
 * @returns null when the constraint exists. Otherwise the result: another session has changed the table meanwhile
 * @throws LockNotAvailable that names the blockers; BuildInterrupted; BuildFailed when PostgreSQL refuses the constraint
 */
export async function attachConstraint(
  build: Build,
  last: Pick<Attempt, 'attempt'> | undefined,
): Promise<BuildIndexResult | null> {
  const { client, target, log } = build;
  if (!hasConstraint(target.entry)) return null;
  const entry = target.entry;
  let found: ConstraintState;
  try {
    found = await addConstraint(client, entry);
    if (found.notBuildable !== null) throw new BuildFailed(found.notBuildable.message, found.notBuildable);
    if (found.state === 'invalid' || found.state === 'missing' || found.state === 'attachable')
      throw new BuildInterrupted(
        `Index ${target.item}: another session changed or dropped it before constraint ${quoted(entry.constraint.name)} was added.`,
      );
  } catch (error) {
    throw await recordFailedAttach(build, last, error);
  }
  if (found.state === 'present') return null;
  const status = found.state;
  const message = `Index ${target.item}: constraint ${quoted(entry.constraint.name)} was not added, because another session has added ${quoted(found.detail ?? '')}.`;
  log.warn(message, { index: target.item });
  if (last !== undefined) await recordAttempt(build, last.attempt, { status, message });
  return { state: 'done', status, waitSeconds: 1 };
}

async function addConstraint(client: Client, entry: ConstraintEntry): Promise<ConstraintState> {
  const before = await readConstraintState(client, entry);
  // Whatever else it is, the table need not be locked to find out.
  if (before.state !== 'attachable') return before;
  return await withExclusiveTableLock(client, entry, LOCK_TIMEOUT_SECONDS, async () => {
    const found = await readConstraintState(client, entry);
    if (found.state !== 'attachable' || found.notBuildable !== null) return found;
    // The columns of a primary key are NOT NULL here. Otherwise PostgreSQL would evaluate CHECK constraints of the owner of the
    // table with the rights of the deploy role.
    await client.query(
      `alter table only ${quotedTable(entry)} add constraint ${quoteIdentifier(entry.constraint.name)} ` +
        `${KEYWORDS[entry.constraint.type]} using index ${quoteIdentifier(found.indexName)}`,
    );
    return await readConstraintState(client, entry);
  });
}

const KEYWORDS: Record<CompiledConstraint['type'], string> = {
  unique: 'unique',
  'primary key': 'primary key',
};

/** @returns the error of the attempt, which is recorded in the ledger */
async function recordFailedAttach(
  build: Build,
  last: Pick<Attempt, 'attempt'> | undefined,
  error: unknown,
): Promise<Error> {
  const { client, target, log, terminateIdleInTransactionSeconds } = build;
  if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) {
    const failure = toDeployStepError(error, `Index ${target.item}`);
    const { sqlstate, message } = failure;
    if (last !== undefined && failure.name !== 'ConnectionLost')
      await recordAttempt(build, last.attempt, { status: 'retrying', sqlstate, message });
    return failure;
  }
  const blockers = await blockersOfTable(client, target, 'AccessExclusiveLock');
  const blockedBy = describeBlockers(blockers);
  const terminated = await terminateIdle(client, blockers, terminateIdleInTransactionSeconds, log);
  const message =
    `Index ${target.item}: it is valid, but table ${tableId(target)} could not be locked within ${LOCK_TIMEOUT_SECONDS} s to add ` +
    `constraint ${quoted(target.entry.constraint?.name ?? '')} with it. The next attempt or deploy only adds the constraint.` +
    (blockedBy === '' ? '' : ` Blocked by ${blockedBy}.`) +
    (terminated === '' ? '' : ` Terminated: ${terminated}.`);
  if (last !== undefined)
    await recordAttempt(build, last.attempt, {
      ...{ status: 'retrying', sqlstate: LOCK_NOT_AVAILABLE, message },
      blockedBy: blockedBy || undefined,
      terminated: terminated || undefined,
    });
  return new LockNotAvailable(message, { sqlstate: LOCK_NOT_AVAILABLE, cause: error });
}
