import { indexLockHolder } from '../postgres/advisory-lock.ts';
import { readCatalogEntry } from '../postgres/catalog.ts';
import { type Client, type Database, withClient } from '../postgres/client.ts';
import { analyzeTable } from '../postgres/index-ddl.ts';
import { type Attempt, finishAttempt, lastAttempt } from '../postgres/ledger.ts';
import { otherBuilders, pauseFor, readProgress } from '../postgres/progress.ts';
import { toDeployStepError } from '../postgres/sqlstate.ts';
import type { Log } from '../shared/logger.ts';
import type { BuildIndexEvent, BuildIndexResult } from '../shared/payloads.ts';
import { type CompiledIndex, type CompiledRegistry, findIndex, indexId } from '../shared/registry.ts';

export interface CheckIndexIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
}

/**
 * Looks at a build that goes on without a client: by its advisory lock, by the progress view, and in the end by the
 * catalog.
 * @throws ConnectionLost: another look may succeed.
 */
export async function checkIndex(event: BuildIndexEvent, io: CheckIndexIo): Promise<BuildIndexResult> {
  const index = findIndex(io.registry, event.index);
  return await withClient(io.database, `check ${index.name}`, async (client) => {
    try {
      const last = await lastAttempt(client, event.deploy, index);
      const builder =
        (await indexLockHolder(client, index.schema, index.name)) ?? (await otherBuilders(client, index))[0];
      // The catalog is read after the lock: a builder that ended in between has written it by now.
      const found = await readCatalogEntry(client, index);
      if (found?.valid) return await settleValid(client, event.deploy, index, last, found.bytes);
      if (builder !== undefined) return await following(client, index, builder, last, io.log);
      return await interrupted(client, event.deploy, index, last, io.log);
    } catch (error) {
      throw toDeployStepError(error, `Index ${indexId(index)}`);
    }
  });
}

async function settleValid(
  client: Client,
  deploy: string,
  index: CompiledIndex,
  last: Attempt | undefined,
  bytes: number,
): Promise<BuildIndexResult> {
  // Without an attempt of this deploy another session built it.
  if (last === undefined) return { state: 'done', status: 'present', waitSeconds: 1 };
  if (index.expression) await analyzeTable(client, index);
  const status = last.repairs ? 'repaired' : 'built';
  await finishAttempt(client, deploy, index, last.attempt, { status, bytes });
  return { state: 'done', status, waitSeconds: 1 };
}

async function following(
  client: Client,
  index: CompiledIndex,
  builder: number,
  last: Attempt | undefined,
  log: Log,
): Promise<BuildIndexResult> {
  const progress = (await readProgress(client, index)).find((build) => build.pid === builder);
  const forSeconds = last === undefined ? 0 : (Date.now() - last.started.getTime()) / 1000;
  log.info('Still building.', {
    index: index.name,
    pid: builder,
    phase: progress?.phase,
    percent: progress?.fraction == null ? undefined : Math.round(progress.fraction * 100),
  });
  return { state: 'building', status: 'building', waitSeconds: pauseFor(progress, forSeconds) };
}

async function interrupted(
  client: Client,
  deploy: string,
  index: CompiledIndex,
  last: Attempt | undefined,
  log: Log,
): Promise<BuildIndexResult> {
  const message = `Index ${indexId(index)}: the session that built it ended and the index is not valid. Its reason is in the server's log.`;
  log.warn(message, { index: index.name, pid: last?.pid });
  if (last !== undefined) {
    await finishAttempt(client, deploy, index, last.attempt, { status: 'retrying', message });
  }
  return { state: 'interrupted', status: 'building', waitSeconds: 1 };
}
