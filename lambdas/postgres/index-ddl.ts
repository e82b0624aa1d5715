import { createHash } from 'node:crypto';
import type { CompiledIndex } from '../shared/registry.ts';
import { readCatalogEntry, readRelationKind } from './catalog.ts';
import type { Client } from './client.ts';
import { qualified, quotedTable, quoteIdentifier } from './identifiers.ts';
import { withTableLock } from './table-lock.ts';

/** Lock timeout of the healing transaction: long enough to evict autovacuum, short enough to hold nobody up. */
const HEAL_LOCK_TIMEOUT_SECONDS = 3;

/** Prepares a session to build: nothing but its own statement may end the build, and the loss of its client least of all. */
export async function prepareBuildSession(client: Client): Promise<void> {
  await client.query(
    `select set_config('statement_timeout', '0', false),
            set_config('lock_timeout', '0', false),
            set_config('idle_in_transaction_session_timeout', '0', false),
            set_config('client_connection_check_interval', '0', false)`,
  );
}

/** The statement that builds an index of the registry, identifiers quoted. */
export function createIndexStatement(index: CompiledIndex): string {
  const unique = index.unique ? 'unique ' : '';
  return `create ${unique}index concurrently if not exists ${quoteIdentifier(index.name)} on ${quotedTable(index)} ${index.definition}`;
}

/** An expression has no statistics until its table is analysed. */
export async function analyzeTable(client: Client, index: CompiledIndex): Promise<void> {
  await client.query(`analyze ${quotedTable(index)}`);
}

/**
 * Removes an invalid leftover. A plain look-then-drop could remove an index that a live build has just completed, so it
 * is renamed under the table's lock, which no build holds then, after another look; only the dead name is dropped.
 * The dead name follows from the index's, so that a worker killed in between leaves nothing that the next cannot find.
 * @returns whether there was one. @throws lock_not_available after 3 s.
 */
export async function removeInvalidIndex(client: Client, index: CompiledIndex): Promise<boolean> {
  const dead = deadNameOf(index);
  await dropDeadIndex(client, index, dead);
  if (!(await isInvalid(client, index))) return false;
  const renamed = await withTableLock(client, index, HEAL_LOCK_TIMEOUT_SECONDS, async () => {
    if (!(await isInvalid(client, index))) return false;
    await client.query(
      `alter index ${qualified(index.schema, index.name)} rename to ${quoteIdentifier(dead)}`,
    );
    return true;
  });
  if (renamed) await dropDeadIndex(client, index, dead);
  return renamed;
}

function deadNameOf(index: CompiledIndex): string {
  const digest = createHash('sha256')
    .update(JSON.stringify([index.schema, index.name]))
    .digest('hex');
  return `pg_deploy_step_dead_${digest.slice(0, 16)}`;
}

async function isInvalid(client: Client, index: CompiledIndex): Promise<boolean> {
  const found = await readCatalogEntry(client, index);
  return found?.kind === 'index' && !found.valid;
}

/** Under a lock timeout this drop could stop half-way, so the session's must be 0 (see prepareBuildSession). */
async function dropDeadIndex(client: Client, index: CompiledIndex, dead: string): Promise<void> {
  if ((await readRelationKind(client, index.schema, dead)) === undefined) return;
  await client.query(`drop index concurrently if exists ${qualified(index.schema, dead)}`);
}
