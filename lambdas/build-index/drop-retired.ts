import { acquire, indexLock, tableLock } from '../postgres/advisory-lock.ts';
import { blockersOfTable, describeBlockers, lockTimeoutMessage } from '../postgres/blockers.ts';
import type { Build } from '../postgres/build-target.ts';
import { indexesBeginningWith } from '../postgres/catalog.ts';
import { type Database, withClient } from '../postgres/client.ts';
import { indexKey } from '../postgres/identifiers.ts';
import { dropLeftovers, renameToDead, StillDropping } from '../postgres/index-ddl.ts';
import { deadName } from '../postgres/index-names.ts';
import { readProperties } from '../postgres/index-properties.ts';
import { recordAttempt, startAttempt } from '../postgres/ledger.ts';
import { describeHolder } from '../postgres/lock-holders.ts';
import { readUsableScans } from '../postgres/recorded-scans.ts';
import { readIndexUse, readRestoreStatement, whyNeeded, whyStillUsed } from '../postgres/retired-indexes.ts';
import {
  describeDatabaseError,
  INSUFFICIENT_PRIVILEGE,
  LOCK_NOT_AVAILABLE,
  sqlstateOf,
} from '../postgres/sqlstate.ts';
import { withTableLock } from '../postgres/table-lock.ts';
import type { BuildIndexResult } from '../shared/build-payloads.ts';
import { type CompiledIndex, tableId } from '../shared/registry.ts';
import type { BuildSettings } from './attempt.ts';

interface DropIo {
  settings: BuildSettings;
  database: Database;
  retired: NonNullable<CompiledIndex['retired']>;
}

/** A drop is not urgent, and the services may be stopped: longest wait for the table's lock, in seconds. */
const LONGEST_LOCK_TIMEOUT_SECONDS = 10;

/** In seconds. */
function lockTimeoutOf({ lockTimeoutSeconds }: BuildSettings): number {
  return Math.min(LONGEST_LOCK_TIMEOUT_SECONDS, lockTimeoutSeconds);
}

/** Why the index is kept in this deploy. */
class Kept extends Error {
  override readonly name = 'Kept';
}

/**
 * Drops a retired index, or keeps it and records why: the deploy does not fail because of it, and the next one looks again. What
 * uses or needs the index is read under the table's lock, in the transaction that renames the index to its dead name, so that nothing
 * can begin to need it in between. Only the dead name is dropped. The statement that brings the index back is in the ledger before
 * the index loses its name: if this function is killed, the next one finds the dead name, and drops it.
 * @throws ConnectionLost, Deadlock when a retry can succeed
 */
export async function dropRetired(build: Build, io: DropIo): Promise<BuildIndexResult> {
  const { target, log } = build;
  const attempt = await startAttempt(build, false);
  const fields = { index: target.item, table: tableId(target), attempt };
  log.info('Dropping a retired index.', { ...fields, reason: io.retired.reason });
  try {
    await drop(build, attempt, io);
    await recordAttempt(build, attempt, { status: 'retired' });
  } catch (error) {
    if (error instanceof StillDropping) {
      // The session is busy with the drop, which waits for transactions that use the table.
      log.info('The drop continues without its client.', fields);
      await withClient(io.database, `drop ${target.item}`, async (client) => {
        await recordAttempt({ ...build, client }, attempt, { status: 'retired' });
      });
      return { state: 'done', status: 'retired', waitSeconds: 1 };
    }
    const reason = await whyKept(build, error, lockTimeoutOf(io.settings));
    if (reason === null) throw error;
    log.warn('The retired index is kept.', { ...fields, reason });
    await recordAttempt(build, attempt, { status: 'kept', message: reason });
    return { state: 'done', status: 'kept', waitSeconds: 1 };
  }
  log.info('The retired index is dropped.', fields);
  return { state: 'done', status: 'retired', waitSeconds: 1 };
}

/** Why an error keeps the index. Null: it does not, because another attempt can succeed, or nobody expects it. */
async function whyKept(
  { client, target }: Build,
  error: unknown,
  lockTimeoutSeconds: number,
): Promise<string | null> {
  if (error instanceof Kept) return error.message;
  if (sqlstateOf(error) === INSUFFICIENT_PRIVILEGE)
    return `The deploy role may not drop it: only the owner of ${tableId(target)} and its members may.`;
  if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) return null;
  const blockedBy = describeBlockers(await blockersOfTable(client, target));
  return `${lockTimeoutMessage(tableId(target), lockTimeoutSeconds, blockedBy)} The next deploy tries again.`;
}

/** @throws Kept; lock_not_available before the index has lost its name; StillDropping */
async function drop(build: Build, attempt: number, { settings, retired }: DropIo): Promise<void> {
  const { client, target, log } = build;
  const acquired = await acquire(client, [indexLock(target), tableLock(target)]);
  if (acquired.kind === 'busy') {
    const by = acquired.holder === null ? 'Another session' : describeHolder(acquired.holder);
    throw new Kept(`${by} works on it or on its table. The next deploy tries again.`);
  }
  const dead = await indexesBeginningWith(client, target, deadName(target));
  for (const name of [target.name, ...dead]) {
    const restore = await readRestoreStatement(client, { ...target, name }, target.name);
    if (restore === undefined) continue;
    await recordAttempt(build, attempt, { status: 'building', message: restore.statement });
    if (name === target.name) await takeName(build, restore.oid, { settings, retired });
    break;
  }
  try {
    await dropLeftovers(client, target);
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE || error instanceof StillDropping) throw error;
    log.warn('The retired index has no name any more, and is not dropped yet. The next deploy drops it.', {
      index: target.item,
      reason: describeDatabaseError(error),
    });
  }
}

/** Renames the index to its dead name, unless something uses or needs it. @throws Kept, lock_not_available */
async function takeName(
  { client, target, log }: Build,
  oid: string,
  { settings, retired }: Pick<DropIo, 'settings' | 'retired'>,
): Promise<void> {
  const recorded = (await readUsableScans(client, log)).get(indexKey(target));
  await withTableLock(client, target, lockTimeoutOf(settings), async () => {
    const found = await readProperties(client, target);
    if (found === undefined) return;
    if (found.oid !== oid || found.table !== target.table)
      throw new Kept('Another session has just replaced it. The next deploy looks again.');
    const { uses, statistics } = await readIndexUse(client, [target]);
    const use = uses.get(indexKey(target));
    const evidence = { statistics, recorded, days: settings.retiredAfterDays };
    const reason =
      whyNeeded(found) ?? (use === undefined ? null : whyStillUsed(retired, { ...evidence, use }));
    if (reason !== null) throw new Kept(reason);
    await renameToDead(client, target);
  });
}
