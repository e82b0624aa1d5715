import type { Target } from '../target.ts';
import type { ChaosEntry } from '../world/entries.ts';
import { checkCorruption } from './corruption.ts';
import {
  checkCarriedOver,
  checkKept,
  checkPartitions,
  checkRegistry,
  type FoundIndex,
  type Indexes,
  idOf,
  readIndexes,
} from './indexes.ts';
import { checkLeftovers } from './leftovers.ts';
import { type Checksums, checkMigrations, checkRows } from './rows.ts';
import { checkLedgerMessages } from './secrets.ts';
import type { Violation } from './violation.ts';

/** What a round knows about its database before the last checks. */
export interface DatabaseFacts {
  readonly target: Pick<Target, 'connect' | 'query'>;
  readonly entries: readonly ChaosEntry[];
  /** The indexes at the beginning of the round. */
  readonly before: Indexes;
  /** The indexes of a clean build of the registry. */
  readonly reference: Indexes;
  /** Indexes of the registry that were valid after one of the runs, as they were then. */
  readonly seen: ReadonlyMap<string, FoundIndex>;
  /** Indexes that the chaos itself has rebuilt: their oid can differ. */
  readonly replaced: ReadonlySet<string>;
  /** Indexes that the chaos itself has dropped. */
  readonly dropped: ReadonlySet<string>;
  /** The rows at the beginning of the round. */
  readonly sums: Checksums;
  /** Longest wait for sessions that are about to end, in milliseconds. @default a minute */
  readonly patienceMs?: number;
}

/** Checks the database after the last, undisturbed run of a round. */
export async function checkDatabase(facts: DatabaseFacts): Promise<Violation[]> {
  const { target, entries, before, reference, seen, replaced, dropped, sums, patienceMs } = facts;
  const { query } = target;
  const after = await readIndexes(query);
  const kept = keptNames(facts);
  const seenNames = [...seen.keys()].filter((id) => !dropped.has(id) && !kept.includes(id));
  return [
    ...checkRegistry(entries, { before, after, reference }),
    ...checkKept({ before, after }, kept, replaced),
    ...checkKept({ before: seen, after }, seenNames, replaced),
    ...checkCarriedOver({ before, after }, rebuiltNames(facts)),
    ...(await checkPartitions(query)),
    ...(await checkLeftovers(query, patienceMs)),
    ...(await checkCorruption(target, entries)),
    ...(await checkRows(query, sums)),
    ...(await checkMigrations(query)),
    ...(await checkLedgerMessages(query)),
  ];
}

/** The indexes that were valid before the round and that nobody may change. */
function keptNames(facts: DatabaseFacts): string[] {
  const rebuilt = rebuiltNames(facts);
  return [...facts.before.values()]
    .filter(({ id, valid }) => valid && !rebuilt.includes(id) && !facts.dropped.has(id))
    .map(({ id }) => id);
}

/** The drifted indexes that a run replaces. */
function rebuiltNames({ entries, dropped }: DatabaseFacts): string[] {
  return entries
    .filter(({ onDrift, expected }) => onDrift === 'rebuild' && expected.kind === 'valid')
    .map(idOf)
    .filter((id) => !dropped.has(id));
}
