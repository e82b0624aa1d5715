import { tryLockIndex } from '../postgres/advisory-lock.ts';
import { readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { prepareBuildSession, removeInvalidIndex } from '../postgres/index-ddl.ts';
import { ensureLedger, finishAttempt, lastAttempt, startAttempt } from '../postgres/ledger.ts';
import { otherBuilders } from '../postgres/progress.ts';
import { describeDatabaseError, toDeployStepError } from '../postgres/sqlstate.ts';
import { describeCaught } from '../shared/caught-error.ts';
import type { Log } from '../shared/logger.ts';
import type { BuildIndexResult, SettleIndexEvent } from '../shared/payloads.ts';
import { type CompiledIndex, type CompiledRegistry, findIndex, indexId } from '../shared/registry.ts';

export interface SettleIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
}

/**
 * Ends an index whose attempts are used up: removes what the last one left behind and writes the failure down, unless
 * the index turns out to be valid after all.
 * @throws ConnectionLost, LockNotAvailable: another attempt at settling may pass.
 */
export async function settleIndex(event: SettleIndexEvent, io: SettleIndexIo): Promise<BuildIndexResult> {
  const index = findIndex(io.registry, event.index);
  return await withClient(io.database, `settle ${index.name}`, async (client) => {
    try {
      await prepareBuildSession(client);
      await ensureLedger(client);
      const last = await lastAttempt(client, event.deploy, index);
      const number = last?.attempt ?? (await startAttempt(client, event.deploy, index, false));
      const found = await readCatalogEntry(client, index);
      if (found?.kind === 'index' && found.table === index.table && found.valid) {
        const status = last?.repairs ? 'repaired' : 'built';
        await finishAttempt(client, event.deploy, index, number, { status, bytes: found.bytes });
        return { state: 'done', status, waitSeconds: 1 };
      }
      const message = last?.message ?? describeCaught(event.error);
      await finishAttempt(client, event.deploy, index, number, { status: 'failed', message });
      io.log.error('The index is given up.', {
        index: index.name,
        critical: index.critical,
        reason: message,
      });
      if (found?.table === index.table) await removeLeftover(client, index, io.log);
      return { state: 'done', status: 'failed', waitSeconds: 1 };
    } catch (error) {
      throw toDeployStepError(error, `Index ${indexId(index)}`);
    }
  });
}

/** What goes wrong here goes into the log only: the failure is written down, and the next deploy heals the index. */
async function removeLeftover(client: Client, index: CompiledIndex, log: Log): Promise<void> {
  try {
    if (!(await tryLockIndex(client, index.schema, index.name))) return;
    if ((await otherBuilders(client, index)).length > 0) return;
    await removeInvalidIndex(client, index);
  } catch (error) {
    log.warn('The invalid leftover could not be removed; the next deploy removes it.', {
      index: index.name,
      reason: describeDatabaseError(error),
    });
  }
}
