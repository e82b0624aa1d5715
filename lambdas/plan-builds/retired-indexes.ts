import type { Client } from '../postgres/client.ts';
import { indexKey } from '../postgres/identifiers.ts';
import { type Attempt, recordKept } from '../postgres/ledger.ts';
import { readLeftovers } from '../postgres/leftovers.ts';
import type { PlannedBuild } from '../postgres/planned-build.ts';
import { readUsableScans } from '../postgres/recorded-scans.ts';
import { readIndexUse, whyStillUsed } from '../postgres/retired-indexes.ts';
import type { Log } from '../shared/logger.ts';
import { type CompiledIndex, indexId } from '../shared/registry.ts';

interface PlanDropsOptions {
  readonly deploy: string;
  readonly attempts: readonly Attempt[];
  /** Whether an item has a failure that the ledger does not contain. */
  readonly isSettled: (item: string) => boolean;
  /** How long no query must have scanned an index, in days. */
  readonly days: number;
  readonly log: Log;
}

/** Results after which a deploy does not look at a retired index again. */
const ENDED: readonly Attempt['status'][] = ['retired', 'kept', 'failed'];

/**
 * Plans the drops of retired indexes that no query has used for long enough, and records in the ledger why the others are kept.
 * Build Index looks at each again before it drops it.
 */
export async function planDrops(
  client: Client,
  indexes: readonly CompiledIndex[],
  { deploy, attempts, isSettled, days, log }: PlanDropsOptions,
): Promise<PlannedBuild[]> {
  const last = new Map(attempts.map((attempt) => [attempt.item, attempt.status]));
  const open = indexes.filter((index) => {
    const item = indexId(index);
    const status = last.get(item);
    return (
      index.retired !== undefined && !isSettled(item) && (status === undefined || !ENDED.includes(status))
    );
  });
  if (open.length === 0) return [];
  const { uses, statistics } = await readIndexUse(client, open);
  const leftovers = await readLeftovers(client, open);
  const recorded = await readUsableScans(client, log);
  const kept: { item: string; index: CompiledIndex; reason: string }[] = [];
  const drops = open.flatMap((index): PlannedBuild[] => {
    const item = indexId(index);
    const key = indexKey(index);
    const use = uses.get(key);
    const drop = [{ index, item, table: index }];
    // Another table's index can have its name.
    if (use === undefined || use.table !== index.table || index.retired === undefined)
      return leftovers.has(key) ? drop : [];
    const reason = whyStillUsed(index.retired, { use, statistics, days, recorded: recorded.get(key) });
    if (reason === null || leftovers.has(key)) return drop;
    kept.push({ item, index, reason });
    return [];
  });
  await recordKept(client, deploy, kept);
  return drops;
}
