import type { CompiledIndex } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { type Named, quotedTable } from './identifiers.ts';
import { readDefinition } from './index-definition.ts';
import { deadName } from './index-names.ts';
import { type IndexProperties, joinObstacles, type Obstacle, readProperties } from './index-properties.ts';
import { carryOver, moveMarks, rename, whyNotReplaceable } from './replacement.ts';

/*
 * An index with a dead name can still have what no other index has: an earlier version of this product lost the replica
 * identity and the CLUSTER mark in a swap, and a session can add a foreign key between the swap and the drop.
 */

/**
 * - `drop`: nothing depends on it;
 * - `move marks`: the current index can be the replica identity and have the CLUSTER mark instead;
 * - `swap back`: it gets its name back, and the current index is dropped;
 * - `restore`: it gets its name back, because no other index has it;
 * - `keep`: neither of the two can be dropped.
 */
type Release =
  | { kind: 'drop' }
  | { kind: 'keep' }
  | { kind: 'restore'; dead: IndexProperties }
  | { kind: 'move marks'; dead: IndexProperties }
  | { kind: 'swap back'; dead: IndexProperties; current: IndexProperties; obstacle: Obstacle };

/** What to do with a dead index. @param name its name */
export async function planRelease(client: Client, entry: CompiledIndex, name: string): Promise<Release> {
  const dead = await readProperties(client, { schema: entry.schema, name });
  if (dead === undefined || !isHeld(dead)) return { kind: 'drop' };
  const current = await readProperties(client, entry);
  if (current === undefined) return { kind: 'restore', dead };
  const currentDefinition = await readDefinition(client, current);
  const deadDefinition = await readDefinition(client, dead);
  if (current.table !== dead.table || !current.valid || !currentDefinition || !deadDefinition)
    return { kind: 'keep' };
  const obstacle = await whyNotReplaceable(client, entry, currentDefinition, dead);
  if (obstacle === null) return { kind: 'move marks', dead };
  const back = dead.valid ? await whyNotReplaceable(client, entry, deadDefinition, current) : obstacle;
  return back === null ? { kind: 'swap back', dead, current, obstacle } : { kind: 'keep' };
}

/** Whether something depends on an index, so that it must not be dropped. */
export function isHeld({ replicaIdentity, clustered, obstacles }: IndexProperties): boolean {
  return replicaIdentity || clustered || obstacles.length > 0;
}

/**
 * Releases a dead index from what depends on it. The caller holds the table's lock in a transaction.
 * @returns why the index was swapped back. Null: it was not
 */
export async function releaseDeadIndex(
  client: Client,
  entry: CompiledIndex,
  name: string,
): Promise<Obstacle | null> {
  const release = await planRelease(client, entry, name);
  if (release.kind === 'drop' || release.kind === 'keep') return null;
  const { dead } = release;
  const final: Named = { schema: entry.schema, name: entry.name };
  if (release.kind === 'restore') {
    await rename(client, dead, final.name);
    return dead.valid ? joinObstacles(dead.obstacles) : null;
  }
  await lockForMarks(client, dead);
  if (release.kind !== 'swap back') {
    await moveMarks(client, dead, final);
    return null;
  }
  await lockForMarks(client, release.current);
  await rename(client, final, `${deadName(final)}_${release.current.oid}`);
  await rename(client, dead, final.name);
  await carryOver(client, release.current, { ...dead, name: final.name });
  return release.obstacle;
}

/** REPLICA IDENTITY needs this lock. Acquired before anything is changed, it does not wait while other sessions wait. */
export async function lockForMarks(client: Client, properties: IndexProperties): Promise<void> {
  if (properties.replicaIdentity)
    await client.query(`lock table only ${quotedTable(properties)} in access exclusive mode`);
}
