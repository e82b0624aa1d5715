import { setTimeout as sleep } from 'node:timers/promises';
import { tryLockIndex } from '../postgres/advisory-lock.ts';
import { type CatalogEntry, readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import {
  analyzeTable,
  createIndexStatement,
  prepareBuildSession,
  removeInvalidIndex,
} from '../postgres/index-ddl.ts';
import { ensureLedger, finishAttempt, lastAttempt, startAttempt } from '../postgres/ledger.ts';
import { otherBuilders, pauseFor } from '../postgres/progress.ts';
import { sqlstateOf, toDeployStepError } from '../postgres/sqlstate.ts';
import { describeBlockers, probeTableLock, readBlockers } from '../postgres/table-lock.ts';
import { BuildFailed, BuildInterrupted, type DeployStepError, LockNotAvailable } from '../shared/errors.ts';
import type { Log } from '../shared/logger.ts';
import type { BuildIndexEvent, BuildIndexResult } from '../shared/payloads.ts';
import {
  type CompiledIndex,
  type CompiledRegistry,
  findIndex,
  indexId,
  tableId,
} from '../shared/registry.ts';

export interface BuildIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
  settings: {
    /** How long to try for the table's lock, in seconds. */
    lockTimeoutSeconds: number;
    /** How long to wait for the statement before letting go of it, in seconds. */
    waitSeconds: number;
    /** Attempts that an index has in one deploy. */
    attempts: number;
  };
}

/**
 * Builds one index: looks first, heals what an earlier attempt left, tries the table's lock, starts CREATE INDEX
 * CONCURRENTLY and waits for it. A build that takes longer goes on in its backend; Check Index follows it.
 * @throws LockNotAvailable, Deadlock, ConnectionLost (another attempt may mend it), BuildFailed (it cannot).
 */
export async function buildIndex(event: BuildIndexEvent, io: BuildIndexIo): Promise<BuildIndexResult> {
  const index = findIndex(io.registry, event.index);
  return await withClient(io.database, `build ${index.name}`, async (client) => {
    try {
      await prepareBuildSession(client);
      await ensureLedger(client);
      if (!(await tryLockIndex(client, index.schema, index.name))) {
        io.log.info('Another session works on this index; it is followed.', { index: index.name });
        return stillBuilding(0);
      }
      const ready = await alreadyThere(client, event.deploy, index);
      return ready ?? (await attempt(client, event.deploy, index, io));
    } catch (error) {
      throw toDeployStepError(error, `Index ${indexId(index)}`);
    }
  });
}

/** What makes a build needless: the index is valid, or somebody is at it. Undefined: it is to be built. */
async function alreadyThere(
  client: Client,
  deploy: string,
  index: CompiledIndex,
): Promise<BuildIndexResult | undefined> {
  const found = await readCatalogEntry(client, index);
  if (found === undefined) return undefined;
  refuseTakenName(index, found);
  if (!found.valid) return (await otherBuilders(client, index)).length > 0 ? stillBuilding(0) : undefined;
  const last = await lastAttempt(client, deploy, index);
  if (last === undefined) return { state: 'done', status: 'present', waitSeconds: 1 };
  // An earlier attempt of this deploy built it and did not live to write it down.
  const status = last.repairs ? 'repaired' : 'built';
  await finishAttempt(client, deploy, index, last.attempt, { status, bytes: found.bytes });
  return { state: 'done', status, waitSeconds: 1 };
}

function refuseTakenName(index: CompiledIndex, found: CatalogEntry): void {
  if (found.kind === 'index' && found.table === index.table) return;
  const taker = found.kind === 'index' ? `an index of table ${found.table}` : 'a relation that is no index';
  throw new BuildFailed(
    `the name is taken by ${taker}. Rename that one, or choose another name in the registry for the index on ${index.table}`,
  );
}

async function attempt(
  client: Client,
  deploy: string,
  index: CompiledIndex,
  io: BuildIndexIo,
): Promise<BuildIndexResult> {
  const before = await lastAttempt(client, deploy, index);
  if (before !== undefined && before.attempt >= io.settings.attempts) {
    throw new BuildFailed(
      `given up after ${before.attempt} attempts. The last one said: ${before.message ?? 'nothing'}`,
      {
        sqlstate: before.sqlstate ?? undefined,
      },
    );
  }
  const found = await readCatalogEntry(client, index);
  const repairs = (found !== undefined && !found.valid) || before?.repairs === true;
  const number = await startAttempt(client, deploy, index, repairs);
  const started = Date.now();
  io.log.info('Attempt starts.', {
    index: index.name,
    table: index.table,
    attempt: number,
    of: io.settings.attempts,
  });
  try {
    await removeInvalidIndex(client, index);
    await tryTableLock(client, index, io.settings.lockTimeoutSeconds);
    const statement = client.query(createIndexStatement(index));
    // Let go of, it rejects when the connection closes: nobody listens then.
    statement.catch(() => {});
    const ended = await Promise.race([
      statement.then(() => true),
      sleep(io.settings.waitSeconds * 1000, false, { ref: false }),
    ]);
    if (!ended) {
      io.log.info('The build goes on without its client.', { index: index.name, attempt: number });
      return stillBuilding((Date.now() - started) / 1000);
    }
    return await settleBuilt(client, deploy, index, number, repairs, io.log);
  } catch (error) {
    return await afterError(error, deploy, index, number, repairs, io);
  }
}

async function tryTableLock(client: Client, index: CompiledIndex, timeoutSeconds: number): Promise<void> {
  try {
    await probeTableLock(client, index, timeoutSeconds);
  } catch (error) {
    const failure = toDeployStepError(error, `Table ${tableId(index)}`);
    if (!(failure instanceof LockNotAvailable)) throw error;
    const blockers = describeBlockers(await readBlockers(client, index));
    throw new LockNotAvailable(
      `The lock on table ${tableId(index)} was not to be had within ${timeoutSeconds} s.${blockers}`,
      { sqlstate: failure.sqlstate, cause: error },
    );
  }
}

async function settleBuilt(
  client: Client,
  deploy: string,
  index: CompiledIndex,
  number: number,
  repairs: boolean,
  log: Log,
): Promise<BuildIndexResult> {
  const found = await readCatalogEntry(client, index);
  if (!found?.valid) throw new BuildInterrupted('the statement ended and the index is not valid');
  if (index.expression) await analyzeTable(client, index);
  const status = repairs ? 'repaired' : 'built';
  await finishAttempt(client, deploy, index, number, { status, bytes: found.bytes });
  log.info('The index is valid.', { index: index.name, attempt: number, status, bytes: found.bytes });
  return { state: 'done', status, waitSeconds: 1 };
}

/** The catalog is the truth, not what the statement returned: looks on a new connection, then writes down and throws. */
async function afterError(
  error: unknown,
  deploy: string,
  index: CompiledIndex,
  number: number,
  repairs: boolean,
  io: BuildIndexIo,
): Promise<BuildIndexResult> {
  const failure: DeployStepError = toDeployStepError(error, `Index ${indexId(index)}`);
  io.log.warn(failure.message, { index: index.name, attempt: number, error: failure.name });
  return await withClient(io.database, `look at ${index.name}`, async (client) => {
    if ((await readCatalogEntry(client, index))?.valid) {
      return await settleBuilt(client, deploy, index, number, repairs, io.log);
    }
    await finishAttempt(client, deploy, index, number, {
      status: 'retrying',
      sqlstate: sqlstateOf(failure),
      message: failure.message,
    });
    throw failure;
  });
}

function stillBuilding(forSeconds: number): BuildIndexResult {
  return { state: 'building', status: 'building', waitSeconds: pauseFor(undefined, forSeconds) };
}
