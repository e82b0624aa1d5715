import {
  indexLock,
  LEDGER_LOCK,
  MIGRATION_LOCK,
  partitionTreeLock,
  RUN_LOCK,
  tableLock,
} from '../postgres/advisory-lock.ts';
import type { Client } from '../postgres/client.ts';
import { describeHolder, type Holder, howToEnd, readLockHolders } from '../postgres/lock-holders.ts';
import { type CompiledIndex, indexId, tableId } from '../shared/registry.ts';
import { counted, listed } from '../shared/text.ts';

/** Holders that are named. */
const MOST_HOLDERS = 5;
/** Locks of one holder that are named. */
const MOST_LOCKS = 5;

/**
 * Warns of what holds advisory locks of a deploy and is not trusted. The deploy ignores it.
 * @returns one warning for each holder. Empty: there is none
 */
export async function warnOfLockHolders(
  client: Client,
  indexes: readonly CompiledIndex[],
): Promise<string[]> {
  const locks = new Map<string, string>([
    [MIGRATION_LOCK, 'the migrations'],
    [RUN_LOCK, 'runs of the command line'],
    [LEDGER_LOCK, 'the ledger'],
    ...indexes.flatMap((index): [string, string][] => [
      [indexLock(index), `index ${indexId(index)}`],
      [tableLock(index), `table ${tableId(index)}`],
      [partitionTreeLock(index), `the partitions of index ${indexId(index)}`],
    ]),
  ]);
  const { untrusted } = await readLockHolders(client, [...locks.keys()]);
  const byHolder = [...Map.groupBy(untrusted, describeHolder).values()];
  const { rows } = await client.query<{ database: string }>('select current_database() as database');
  const warnings = byHolder.slice(0, MOST_HOLDERS).map((held) => {
    const names = held.map(({ key }) => locks.get(key) ?? key);
    return warningOf(held[0], listed(names, MOST_LOCKS), rows[0]?.database ?? '');
  });
  const more = byHolder.length - warnings.length;
  return more > 0 ? [...warnings, `And ${counted(more, 'more holder')} of advisory locks.`] : warnings;
}

function warningOf(holder: Holder | undefined, locks: string, database: string): string {
  if (holder === undefined) return '';
  const held = `${describeHolder(holder)} holds advisory locks that deploys use: ${locks}.`;
  if (holder.kind === 'prepared transaction')
    return `${held} No deploy prepares transactions, so it is ignored.`;
  return (
    `${held} Its role is not trusted, so the deploy ignores the locks. If the role deploys too, name it in database.trustedRoles ` +
    `(run --trusted-role). Otherwise end the session: ${howToEnd(holder, database)}`
  );
}
