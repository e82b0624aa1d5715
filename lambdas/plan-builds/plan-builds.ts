import { indexKey, readCatalog, readTableSizes } from '../postgres/catalog.ts';
import { type Database, withClient } from '../postgres/client.ts';
import { attemptsOf } from '../postgres/ledger.ts';
import { toDeployStepError } from '../postgres/sqlstate.ts';
import type { Log } from '../shared/logger.ts';
import type { Lane, PlanBuildsEvent, PlanBuildsResult } from '../shared/payloads.ts';
import {
  type CompiledIndex,
  type CompiledRegistry,
  findIndex,
  indexId,
  tableId,
} from '../shared/registry.ts';

/** Builds in one round: with their attempts and polls they stay far below 25,000 history events and 256 KiB. */
export const MOST_BUILDS_A_ROUND = 500;

export interface PlanBuildsIo {
  registry: CompiledRegistry;
  database: Database;
  log: Log;
}

/**
 * Decides what this round builds: what is asked for, is not valid in the catalog, and did not already fail in this
 * deploy. When nothing is left it says how many were given up.
 * @throws BadInput for a name that is not in the registry; ConnectionLost.
 */
export async function planBuilds(event: PlanBuildsEvent, io: PlanBuildsIo): Promise<PlanBuildsResult> {
  const { deploy = event.execution, indexes = [], scope = 'all' } = event.request;
  const asked = indexes.length > 0 ? indexes.map((name) => findIndex(io.registry, name)) : io.registry;
  const wanted = asked.filter((index) => scope === 'all' || index.critical);
  return await withClient(io.database, 'plan', async (client) => {
    try {
      const valid = new Set((await readCatalog(client, wanted)).filter((entry) => entry.valid).map(indexKey));
      const givenUp = new Set(
        (await attemptsOf(client, deploy)).filter((attempt) => attempt.status === 'failed').map(indexKey),
      );
      const missing = wanted.filter((index) => !valid.has(indexKey(index)));
      const failed = missing.filter((index) => givenUp.has(indexKey(index)));
      const open = missing.filter((index) => !givenUp.has(indexKey(index)));
      const lanes = toLanes(open, await readTableSizes(client, open));
      io.log.info('Planned.', {
        deploy,
        wanted: wanted.length,
        valid: valid.size,
        open: open.length,
        lanes: lanes.length,
      });
      return {
        deploy,
        decision: open.length > 0 ? 'build' : 'done',
        lanes: firstBuilds(lanes, MOST_BUILDS_A_ROUND),
        failed: {
          critical: failed.filter((index) => index.critical).length,
          nonCritical: failed.filter((index) => !index.critical).length,
        },
      };
    } catch (error) {
      throw toDeployStepError(error, 'The plan');
    }
  });
}

/**
 * One lane a table, because two concurrent builds on one table end in a deadlock. The lane with most to read comes first,
 * so that the longest one is not the last to start; within a lane the critical ones come first.
 */
function toLanes(indexes: readonly CompiledIndex[], sizes: ReadonlyMap<string, number>): Lane[] {
  const byTable = Map.groupBy(indexes, (index) => indexKey({ schema: index.schema, name: index.table }));
  return [...byTable.entries()]
    .map(([table, members]) => ({
      work: (sizes.get(table) ?? 0) * members.length,
      table: members[0] === undefined ? '' : tableId(members[0]),
      indexes: members.toSorted((a, b) => Number(b.critical) - Number(a.critical)).map(indexId),
    }))
    .toSorted((a, b) => b.work - a.work || a.table.localeCompare(b.table))
    .map(({ table, indexes: names }) => ({ table, indexes: names }));
}

/** The first so many builds, lane by lane; the rest comes with the next round. */
function firstBuilds(lanes: readonly Lane[], most: number): Lane[] {
  let left = most;
  const round: Lane[] = [];
  for (const lane of lanes) {
    if (left === 0) break;
    const indexes = lane.indexes.slice(0, left);
    left -= indexes.length;
    round.push({ table: lane.table, indexes });
  }
  return round;
}
