import { setTimeout as sleep } from 'node:timers/promises';
import { blockersOfTable, describeBlockers, terminateIdle } from '../postgres/blockers.ts';
import { type BuildTarget, isBuilt } from '../postgres/build-target.ts';
import { type CatalogEntry, readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, withClient } from '../postgres/client.ts';
import { finishBuild } from '../postgres/finish-build.ts';
import { buildStatement, removeInvalidIndex, StillDropping } from '../postgres/index-ddl.ts';
import { type Attempt, lastAttempt, noteAttempt, silentEnds, startAttempt } from '../postgres/ledger.ts';
import {
  DUPLICATE_TABLE,
  describeDatabaseError,
  isConnectionError,
  LOCK_NOT_AVAILABLE,
  sqlstateOf,
  toDeployStepError,
} from '../postgres/sqlstate.ts';
import { probeTableLock } from '../postgres/table-lock.ts';
import { BuildFailed, BuildInterrupted, LockNotAvailable } from '../shared/errors.ts';
import type { BuildIndexResult } from '../shared/payloads.ts';
import { tableId } from '../shared/registry.ts';
import { type BuildIndexIo, stillBuilding } from './build-index.ts';

/** Attempts that may end without anybody hearing why before the index is given up. */
const MOST_SILENT_ENDS = 3;

type Current = Pick<Attempt, 'attempt' | 'repairs'>;

/** One attempt, from the ledger's row to the index being valid, or to its being let go of. The index's lock is held. */
export async function attempt(
  client: Client,
  deploy: string,
  target: BuildTarget,
  io: BuildIndexIo,
): Promise<BuildIndexResult> {
  const before = await lastAttempt(client, deploy, target.item);
  const silent = await silentEnds(client, deploy, target.item);
  refuseAnother(before, silent, target, io.settings.attempts);
  const leftover = await readCatalogEntry(client, target);
  const repairs = leftover !== undefined || before?.repairs === true;
  const current: Current = { attempt: await startAttempt(client, deploy, target, repairs), repairs };
  const log = { index: target.item, table: tableId(target), attempt: current.attempt };
  io.log.info('Attempt starts.', { ...log, of: io.settings.attempts });
  const started = Date.now();
  try {
    refuseTakenName(target, leftover);
    await removeInvalidIndex(client, target);
    await tryTableLock(client, deploy, target, current, io);
    const statement = client.query(buildStatement(target));
    // Let go of, it rejects when the connection closes: nobody listens then.
    statement.catch(() => {});
    const waitSeconds = silent > 0 ? io.settings.patientWaitSeconds : io.settings.waitSeconds;
    const ended = statement.then(() => true);
    if (!(await Promise.race([ended, sleep(waitSeconds * 1000, false, { ref: false })]))) {
      io.log.info('The build goes on without its client.', log);
      return stillBuilding((Date.now() - started) / 1000);
    }
    const found = await readCatalogEntry(client, target);
    // IF NOT EXISTS skips what took the name since.
    refuseTakenName(target, found);
    if (!isBuilt(target, found))
      throw new BuildInterrupted(`Index ${target.item}: the statement ended and the index is not valid.`);
    return await finishBuild(client, deploy, target, found, current, io.log);
  } catch (error) {
    return await afterError(error, client, deploy, target, current, io);
  }
}

function refuseAnother(before: Attempt | undefined, silent: number, target: BuildTarget, most: number): void {
  if (before === undefined) return;
  const sqlstate = before.sqlstate ?? undefined;
  if (before.attempt >= most) {
    throw new BuildFailed(
      `${before.message ?? `Index ${target.item} could not be built.`} (${before.attempt} attempts)`,
      { sqlstate },
    );
  }
  if (silent >= MOST_SILENT_ENDS) {
    throw new BuildFailed(
      `Index ${target.item}: its build ended ${silent} times without the index being valid, each time after its client had ` +
        "let go of it. The reason is in the server's log",
      { sqlstate },
    );
  }
}

/** @throws BuildFailed with duplicate_table: PostgreSQL itself would skip the statement, for IF NOT EXISTS compares names. */
function refuseTakenName(target: BuildTarget, found: CatalogEntry | undefined): void {
  if (found === undefined || (found.kind === 'index' && found.table === target.table)) return;
  const taker = found.kind === 'index' ? `an index of table ${found.table}` : 'a relation that is no index';
  throw new BuildFailed(
    `Index ${target.item}: the name ${target.name} is taken by ${taker}. Rename that one, or choose another name in the ` +
      `registry for the index on ${tableId(target)}`,
    { sqlstate: DUPLICATE_TABLE },
  );
}

/** Tries for the table's lock by itself, and says who has it. */
async function tryTableLock(
  client: Client,
  deploy: string,
  target: BuildTarget,
  current: Current,
  io: BuildIndexIo,
): Promise<void> {
  const { lockTimeoutSeconds, terminateIdleInTransactionSeconds } = io.settings;
  try {
    await probeTableLock(client, target, lockTimeoutSeconds);
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    const blockers = await blockersOfTable(client, target);
    const blockedBy = describeBlockers(blockers);
    const terminated = await terminateIdle(client, blockers, terminateIdleInTransactionSeconds, io.log);
    await noteAttempt(client, deploy, target.item, current.attempt, {
      status: 'building',
      blockedBy,
      terminated: terminated || undefined,
    });
    throw new LockNotAvailable(
      `The lock on table ${tableId(target)} was not to be had within ${lockTimeoutSeconds} s.` +
        (blockedBy === '' ? '' : ` Blocked by ${blockedBy}.`) +
        (terminated === '' ? '' : ` Ended: ${terminated}.`),
      { sqlstate: LOCK_NOT_AVAILABLE, cause: error },
    );
  }
}

/** The catalog is the truth, not what the statement returned: looks, then writes down and throws. */
async function afterError(
  error: unknown,
  client: Client,
  deploy: string,
  target: BuildTarget,
  current: Current,
  io: BuildIndexIo,
): Promise<BuildIndexResult> {
  const failure = toDeployStepError(error, `Index ${target.item}`);
  io.log.warn(failure.message, { index: target.item, attempt: current.attempt, error: failure.name });
  const look = async (connection: Client) => {
    const found = await readCatalogEntry(connection, target);
    if (isBuilt(target, found) && target.finish.kind === 'nothing') {
      return await finishBuild(connection, deploy, target, found, current, io.log);
    }
    await noteAttempt(connection, deploy, target.item, current.attempt, {
      status: 'retrying',
      sqlstate: sqlstateOf(failure),
      message: failure.message,
    });
    throw failure;
  };
  try {
    // A new connection only where this one is gone or at work: the role may have no second one.
    const isUsable = !isConnectionError(error) && !(error instanceof StillDropping);
    return isUsable ? await look(client) : await withClient(io.database, `look at ${target.item}`, look);
  } catch (later) {
    // The server is still away: what happened first says more.
    if (later !== failure)
      io.log.warn('The attempt could not be written down.', { reason: describeDatabaseError(later) });
    throw failure;
  }
}
