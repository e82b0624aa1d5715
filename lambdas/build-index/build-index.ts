import { tryLockIndex, tryLockTable } from '../postgres/advisory-lock.ts';
import { type BuildTarget, findTarget, isBuilt, resolveTarget } from '../postgres/build-target.ts';
import { readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { finishBuild } from '../postgres/finish-build.ts';
import { prepareBuildSession } from '../postgres/index-ddl.ts';
import { ensureLedger, lastAttempt, noteAttempt, startAttempt } from '../postgres/ledger.ts';
import { otherBuilders, pauseFor } from '../postgres/progress.ts';
import { toDeployStepError } from '../postgres/sqlstate.ts';
import type { Log } from '../shared/logger.ts';
import type { BuildIndexEvent, BuildIndexResult } from '../shared/payloads.ts';
import type { CompiledRegistry } from '../shared/registry.ts';
import { attempt } from './attempt.ts';

export interface BuildSettings {
  /** How long to try for the table's lock, in seconds. */
  lockTimeoutSeconds: number;
  /** How long to wait for the statement before letting go of it, in seconds. */
  waitSeconds: number;
  /** How long to wait where an earlier attempt ended without anybody hearing why, in seconds. */
  patientWaitSeconds: number;
  /** Attempts that an index has in one deploy. */
  attempts: number;
  /** Blockers that are idle in their transaction for longer are ended. Undefined: none is. */
  terminateIdleInTransactionSeconds: number | undefined;
}

export interface BuildIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
  settings: BuildSettings;
}

/**
 * Builds one index: looks first, heals what an earlier attempt left, tries the table's lock, starts CREATE INDEX
 * CONCURRENTLY and waits for it. A build that takes longer goes on in its backend; Check Index follows it.
 * @throws LockNotAvailable, Deadlock, ConnectionLost (another attempt may mend it), BuildFailed (it cannot).
 */
export async function buildIndex(event: BuildIndexEvent, io: BuildIndexIo): Promise<BuildIndexResult> {
  return await withClient(io.database, `build ${event.index}`, async (client) => {
    try {
      await prepareBuildSession(client);
      await ensureLedger(client);
      const resolved = await resolveTarget(client, io.registry, event.index);
      if (resolved.kind === 'gone') {
        io.log.info('Nothing to build.', { index: event.index, reason: resolved.reason });
        return { state: 'done', status: 'present', waitSeconds: 1 };
      }
      const { target } = resolved;
      if (resolved.kind === 'parent') return await settleParent(client, event.deploy, target, io);
      if (!(await tryLockIndex(client, target.schema, target.name))) {
        io.log.info('Another session works on this index; it is followed.', { index: event.index });
        return stillBuilding(0);
      }
      if (!(await tryLockTable(client, target))) {
        io.log.info('Another session works on the table; it is waited for.', { index: event.index });
        return stillBuilding(0);
      }
      if (target.finish.kind === 'swap' && !(await isStillSo(client, target, io.registry))) {
        // Another deploy swapped it between our look and our lock.
        return { state: 'interrupted', status: 'building', waitSeconds: 1 };
      }
      return (
        (await withoutBuilding(client, event.deploy, target, io)) ??
        (await attempt(client, event.deploy, target, io))
      );
    } catch (error) {
      throw toDeployStepError(error, `Index ${event.index}`);
    }
  });
}

async function isStillSo(client: Client, target: BuildTarget, registry: CompiledRegistry): Promise<boolean> {
  const again = await findTarget(client, registry, target.item);
  return again?.name === target.name;
}

/** The index of a partitioned table is made of its partitions' ones; nothing is built, and that is written down. */
async function settleParent(
  client: Client,
  deploy: string,
  target: BuildTarget,
  io: BuildIndexIo,
): Promise<BuildIndexResult> {
  const attempt = await startAttempt(client, deploy, target, false);
  const found = await readCatalogEntry(client, target);
  if (found?.valid)
    return await finishBuild(client, deploy, target, found, { attempt, repairs: false }, io.log);
  const message = `Index ${target.item}: not all of its partitions have their part yet.`;
  await noteAttempt(client, deploy, target.item, attempt, { status: 'retrying', message });
  return { state: 'done', status: 'building', waitSeconds: 1 };
}

/** What makes a build needless: the index is valid, or somebody is at its table. Undefined: it is to be built. */
async function withoutBuilding(
  client: Client,
  deploy: string,
  target: BuildTarget,
  io: BuildIndexIo,
): Promise<BuildIndexResult | undefined> {
  const found = await readCatalogEntry(client, target);
  if (isBuilt(target, found)) {
    // An earlier attempt of this deploy may have built it and not lived to write it down.
    return await finishBuild(
      client,
      deploy,
      target,
      found,
      await lastAttempt(client, deploy, target.item),
      io.log,
    );
  }
  const others = await otherBuilders(client, target);
  if (others.length === 0) return undefined;
  // A second concurrent build on the table would end in a deadlock; a DBA's own build is not fought but waited for.
  io.log.info('Another session builds on the table; it is waited for.', { index: target.item, pids: others });
  return stillBuilding(0);
}

/** @param forSeconds how long it has been building */
export function stillBuilding(forSeconds: number): BuildIndexResult {
  return { state: 'building', status: 'building', waitSeconds: pauseFor(undefined, forSeconds) };
}
