import { setTimeout as sleep } from 'node:timers/promises';
import { LockNotAvailable } from '../shared/errors.ts';
import { indexLock, tryLock } from './advisory-lock.ts';
import type { BuildTarget } from './build-target.ts';
import { namesBeginningWith, readCatalogEntry, readRelationKind } from './catalog.ts';
import type { Client } from './client.ts';
import { type Named, qualified, quotedTable, quoteIdentifier } from './identifiers.ts';
import { deadName, replacementPrefix } from './index-names.ts';
import { removeReindexLeftovers } from './reindex-leftovers.ts';
import { LOCK_NOT_AVAILABLE } from './sqlstate.ts';
import { withTableLock } from './table-lock.ts';

/** Lock timeout of the short transactions: long enough to evict autovacuum, short enough to hold nobody up. */
const SHORT_LOCK_TIMEOUT_SECONDS = 3;

/** How long to wait for a drop before letting go of it. */
const DROP_WAIT_SECONDS = 5;

/** A drop that goes on in its session, on a connection that is not to be used any more. Its name is the base's: retried. */
export class StillDropping extends LockNotAvailable {}

/** Prepares a session to build: nothing but its own statement may end the build, and the loss of its client least of all. */
export async function prepareBuildSession(client: Client): Promise<void> {
  await client.query(
    `select set_config('statement_timeout', '0', false),
            set_config('lock_timeout', '0', false),
            set_config('idle_in_transaction_session_timeout', '0', false),
            set_config('client_connection_check_interval', '0', false)`,
  );
}

/** The statement that builds a target, identifiers quoted. */
export function buildStatement(target: BuildTarget): string {
  if (target.attached) return `reindex index concurrently ${qualified(target)}`;
  const unique = target.unique ? 'unique ' : '';
  return `create ${unique}index concurrently if not exists ${quoteIdentifier(target.name)} on ${quotedTable(target)} ${target.definition}`;
}

/** An expression has no statistics until its table is analysed. @throws lock_not_available after 3 s. */
export async function analyzeTable(client: Client, target: BuildTarget): Promise<void> {
  await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, async () => {
    await client.query(`analyze ${quotedTable(target)}`);
  });
}

/**
 * Removes an invalid leftover. A plain look-then-drop could remove an index that a live build has just completed, so it
 * is renamed under the table's lock, which no build holds then, after another look; only the dead name is dropped.
 * The dead name follows from the index's, so that a worker killed in between leaves nothing that the next cannot find.
 * @returns whether there was one. @throws lock_not_available after 3 s.
 */
export async function removeInvalidIndex(client: Client, target: BuildTarget): Promise<boolean> {
  await dropDeadIndex(client, target);
  // An attached index is built anew in its place; what an interrupted REINDEX CONCURRENTLY left is beside it.
  if (target.attached) {
    await removeReindexLeftovers(client, target, SHORT_LOCK_TIMEOUT_SECONDS);
    await dropDeadIndex(client, target);
    return false;
  }
  if (!(await isInvalid(client, target))) return false;
  const renamed = await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, async () => {
    if (!(await isInvalid(client, target))) return false;
    await rename(client, target.schema, target.name, deadName(finalOf(target)));
    return true;
  });
  if (renamed) await dropDeadIndex(client, target);
  return renamed;
}

/**
 * Puts the replacement of a drifted index in its place, in one transaction, and drops the old one: at no moment is the
 * table without the index. @throws lock_not_available after 3 s.
 */
export async function swapIndex(client: Client, target: BuildTarget): Promise<void> {
  await dropDeadIndex(client, target);
  await withTableLock(client, target, SHORT_LOCK_TIMEOUT_SECONDS, async () => {
    await rename(client, target.schema, target.finalName, deadName(finalOf(target)));
    await rename(client, target.schema, target.name, target.finalName);
  });
  await dropDeadIndex(client, target);
}

async function rename(client: Client, schema: string, from: string, to: string): Promise<void> {
  await client.query(`alter index ${qualified({ schema, name: from })} rename to ${quoteIdentifier(to)}`);
}

async function isInvalid(client: Client, target: BuildTarget): Promise<boolean> {
  const found = await readCatalogEntry(client, target);
  return found?.kind === 'index' && found.table === target.table && !found.valid;
}

/** Drops what an earlier worker renamed or built and did not live to drop or to swap in. */
export async function dropLeftovers(client: Client, target: BuildTarget): Promise<void> {
  await dropDeadIndex(client, target);
  for (const name of await namesBeginningWith(client, target.schema, replacementPrefix(finalOf(target)))) {
    // A deploy of another registry may be building it at this moment: its session has the lock.
    if (name === target.name || !(await tryLock(client, indexLock({ schema: target.schema, name }))))
      continue;
    await dropConcurrently(client, { schema: target.schema, name });
  }
}

async function dropDeadIndex(client: Client, target: BuildTarget): Promise<void> {
  for (const name of await namesBeginningWith(client, target.schema, deadName(finalOf(target)))) {
    await dropConcurrently(client, { schema: target.schema, name });
  }
}

/**
 * Under a lock timeout this drop could stop half-way, so the session's must be 0 (see prepareBuildSession). It waits for
 * every transaction that has used the table, which may take as long as it likes: then it goes on without its client.
 * @throws StillDropping
 */
async function dropConcurrently(client: Client, index: Named): Promise<void> {
  if ((await readRelationKind(client, index)) === undefined) return;
  const drop = client.query(`drop index concurrently if exists ${qualified(index)}`);
  // Let go of, it rejects when the connection closes: nobody listens then.
  drop.catch(() => {});
  const ended = drop.then(() => true);
  if (await Promise.race([ended, sleep(DROP_WAIT_SECONDS * 1000, false, { ref: false })])) return;
  throw new StillDropping(
    `The drop of ${index.name} waits for transactions that have used its table, and goes on in its session.`,
    { sqlstate: LOCK_NOT_AVAILABLE },
  );
}

function finalOf(target: BuildTarget): Named {
  return { schema: target.schema, name: target.finalName };
}
