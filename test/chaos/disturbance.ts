import { setTimeout as pause } from 'node:timers/promises';
import { sqlstateOf } from '../../lambdas/postgres/sqlstate.ts';
import type { CommandRun } from './command-run.ts';
import type { Journal } from './journal.ts';
import { isTemporary, type Target } from './target.ts';
import type { ChaosEntry } from './world/entries.ts';

/** One planned action against a run. All its decisions are made when it is planned. */
export interface Disturbance {
  /** What it does, to what, for how long. */
  readonly text: string;
  /** Ends when the action is done and undone, or when the disturbance ends. */
  run(field: Field): Promise<void>;
}

/** What the disturbances of a round share. */
export interface Field {
  readonly target: Target;
  readonly journal: Journal;
  /** The runs of the slot that have not ended. */
  readonly running: () => readonly CommandRun[];
  /** The processes of the product's functions that are running. */
  readonly functions: () => readonly { pid: number; name: string }[];
  /** Aborted when the disturbances of the round end. */
  readonly end: AbortSignal;
  /** Indexes that the chaos has dropped, built or rebuilt: their oid can change. */
  readonly replaced: Set<string>;
  /** Indexes that the chaos has dropped. What hung on them is gone. */
  readonly dropped: Set<string>;
  /** Indexes that were absent, invalid or on a renamed table for a time. A run could not see them as valid. */
  readonly unsteady: Set<string>;
  /** Names of invalid indexes that interrupted statements of the chaos can have left. They begin with these texts. */
  readonly debris: Set<string>;
  readonly entries: readonly ChaosEntry[];
}

/** Waits, at most until the disturbances of the round end. */
export async function hold({ end }: Pick<Field, 'end'>, milliseconds: number): Promise<void> {
  await pause(milliseconds, undefined, { signal: end }).catch(() => undefined);
}

/** Waits until something exists. Undefined: the disturbances of the round ended first. */
export async function firstOf<T>({ end }: Field, find: () => Promise<T | undefined>): Promise<T | undefined> {
  while (!end.aborted) {
    // While the server is down nothing is found.
    const found = await find().catch(() => undefined);
    if (found !== undefined) return found;
    await pause(100);
  }
  return undefined;
}

/**
 * Runs a statement by hand, and notes how it ended. An error that the chaos itself can cause is no violation: a lock
 * timeout, a deadlock, a lost session, an object that another action has renamed or dropped.
 * @returns whether it succeeded
 */
export async function tryStatement({ target, journal }: Field, sql: string): Promise<boolean> {
  try {
    const client = await target.connect('statement');
    try {
      // A person at psql waits for a while, and then interrupts.
      await client.query("set lock_timeout = '8s'");
      await client.query(sql);
    } finally {
      client.end().catch(() => undefined);
    }
    return true;
  } catch (error) {
    journal.note(`  by hand: ${sql}: ${sqlstateOf(error) ?? 'connection'} ${messageOf(error)}`);
    if (isTemporary(error) || /^(42|22|23|2B)/.test(sqlstateOf(error) ?? '')) return false;
    throw error;
  }
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
