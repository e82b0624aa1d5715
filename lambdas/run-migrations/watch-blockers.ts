import { setTimeout as sleep } from 'node:timers/promises';
import { blockersOfBackend, describeBlockers } from '../postgres/blockers.ts';
import { type Database, withClient } from '../postgres/client.ts';
import { describeDatabaseError } from '../postgres/sqlstate.ts';

/** Which sessions block a migration, as its second connection sees them. */
export interface BlockerWatch {
  /** Begins again: sessions that blocked an earlier statement do not block this one. */
  nextStatement(): void;
  /** The sessions that blocked the statement at the last poll, for a message. Null: none was seen. */
  blockedBy(): string | null;
  /** Why no session was seen. Null: the second connection works. */
  failure(): string | null;
  /** Closes the second connection. */
  stop(): Promise<void>;
}

/** Longest pause between two polls, in milliseconds: pg_blocking_pids() briefly stops all lock requests of the server. */
const LONGEST_PAUSE_MS = 5_000;

/** Polls in one lock timeout. */
const POLLS = 6;

/**
 * Polls which sessions block a backend, from a second connection, because the backend itself waits. The connection is opened
 * after the first pause, so a short migration needs none. Without it, for example at a connection limit of 1, the migration
 * runs all the same.
 * @param pid backend that applies the migrations
 */
export function watchBlockers(
  database: Database,
  pid: number | null,
  lockTimeoutSeconds: number,
): BlockerWatch {
  const pause = Math.min(LONGEST_PAUSE_MS, (lockTimeoutSeconds * 1_000) / POLLS);
  const stopped = new AbortController();
  let seen: string | null = null;
  let failure: string | null = null;
  const rest = async () => await sleep(pause, undefined, { signal: stopped.signal }).catch(() => {});
  const watch = async () => {
    await rest();
    if (stopped.signal.aborted || pid === null) return;
    await withClient(database, 'watch migrations', async (client) => {
      while (!stopped.signal.aborted) {
        const blockers = await blockersOfBackend(client, pid);
        if (blockers.length > 0 && !stopped.signal.aborted) seen = describeBlockers(blockers);
        await rest();
      }
    });
  };
  const watching = watch().catch((error) => {
    failure = describeDatabaseError(error);
  });
  return {
    nextStatement: () => {
      seen = null;
    },
    blockedBy: () => seen,
    failure: () => failure,
    stop: async () => {
      stopped.abort();
      await watching;
    },
  };
}
