import type { Log } from '../shared/logger.ts';
import { listed } from '../shared/text.ts';
import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';
import { conflictingModes, type LockMode } from './lock-modes.ts';
import {
  describePreparedTransaction,
  type PreparedTransaction,
  preparedBlockers,
} from './prepared-transactions.ts';
import { INSUFFICIENT_PRIVILEGE, sqlstateOf } from './sqlstate.ts';

/** A session that blocks another session. */
interface BlockingSession {
  kind: 'session';
  pid: number;
  application: string;
  /** As in pg_stat_activity: active, idle in transaction, … */
  state: string;
  /** Age of its transaction, in seconds. Null: unknown. */
  ageSeconds: number | null;
  /** What the session itself waits for, as wait_event_type/wait_event. Null: it does not wait, or only for its client. */
  waitsFor: string | null;
  /** How long it has been idle in its transaction, in seconds. Null: it is not idle in a transaction. */
  idleInTransactionSeconds: number | null;
}

/** What blocks a session, directly or because another blocker waits for it. */
export type Blocker = BlockingSession | PreparedTransaction;

/**
 * Finds what blocks a lock on a table: what holds a conflicting lock or waits for one, and what the waiting sessions wait for.
 * @param mode the lock that could not be acquired @default SHARE UPDATE EXCLUSIVE, the lock of a concurrent build
 */
export async function blockersOfTable(
  client: Client,
  table: Table,
  mode: LockMode = 'ShareUpdateExclusiveLock',
): Promise<Blocker[]> {
  const { rows } = await client.query<{ pid: number }>(
    `select distinct l.pid
       from pg_locks l
       join pg_class t on t.oid = l.relation
       join pg_namespace n on n.oid = t.relnamespace
      where l.locktype = 'relation'
        and l.database = (select oid from pg_database where datname = current_database())
        and n.nspname = $1 and t.relname = $2
        and l.mode = any ($3::text[])
        and l.pid <> pg_backend_pid()`,
    [table.schema, table.table, conflictingModes(mode)],
  );
  const direct = rows.map((row) => row.pid);
  const sessions = await withTheirBlockers(client, direct);
  const prepared = await preparedBlockers(client, pidsOf(sessions), { table, mode });
  return [...prepared, ...sessions];
}

/**
 * Finds what a session waits for: for a lock, or for the end of a transaction.
 * @param pid of its backend
 */
export async function blockersOfBackend(client: Client, pid: number): Promise<Blocker[]> {
  const sessions = (await withTheirBlockers(client, [pid])).filter((session) => session.pid !== pid);
  const prepared = await preparedBlockers(client, [pid, ...pidsOf(sessions)]);
  return [...prepared, ...sessions];
}

/** The sessions, and all sessions that they wait for, the one with the oldest transaction first. */
async function withTheirBlockers(client: Client, pids: readonly number[]): Promise<BlockingSession[]> {
  // pg_blocking_pids shows a prepared transaction as 0.
  const { rows } = await client.query<BlockingSession>(
    `with recursive pids (pid) as (
       select unnest($1::int[])
        union
       select b.pid from pids cross join unnest(pg_blocking_pids(pids.pid)) as b (pid) where b.pid <> 0
     )
     select 'session' as kind,
            a.pid,
            coalesce(nullif(a.application_name, ''), a.backend_type, 'unknown') as application,
            coalesce(a.state, a.backend_type, 'state hidden without pg_read_all_stats') as state,
            extract(epoch from clock_timestamp() - a.xact_start)::int as "ageSeconds",
            case when a.wait_event_type <> 'Client' then a.wait_event_type || '/' || a.wait_event end as "waitsFor",
            case when a.state like 'idle in transaction%'
                 then extract(epoch from clock_timestamp() - a.state_change)::float8 end as "idleInTransactionSeconds"
       from pids
       join pg_stat_activity a using (pid)
      where a.pid <> pg_backend_pid()
      order by a.xact_start`,
    [pids],
  );
  return rows;
}

function pidsOf(sessions: readonly BlockingSession[]): number[] {
  return sessions.map((session) => session.pid);
}

/** A message must stay readable when a hundred sessions wait. */
const MAX_NAMED = 10;

/** The blockers for a message, prepared transactions first: no other blocker stays forever. Empty: no blocker is known. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  return blockers.length === 0 ? '' : listed(blockers.map(describeBlocker), MAX_NAMED);
}

function describeBlocker(blocker: Blocker): string {
  if (blocker.kind === 'prepared transaction') return describePreparedTransaction(blocker);
  const { pid, application, state, ageSeconds, waitsFor } = blocker;
  const age = ageSeconds === null ? '' : `, transaction open for ${ageSeconds} s`;
  const waits = waitsFor === null ? '' : `, waits for ${waitsFor}`;
  return `pid ${pid} (${application}, ${state}${age}${waits})`;
}

/**
 * The message for a table lock that was not acquired in time.
 * @param table as messages show it
 * @param blockedBy from `describeBlockers`
 */
export function lockTimeoutMessage(table: string, timeoutSeconds: number, blockedBy: string): string {
  const blockers = blockedBy === '' ? '' : ` Blocked by ${blockedBy}.`;
  return `Could not acquire the lock on table ${table} within ${timeoutSeconds} s.${blockers}`;
}

/**
 * Terminates the sessions that have been idle in their transaction for too long. A session that the role may not terminate
 * stays, with a warning in the log, and the build continues to wait for it. Prepared transactions stay: only their coordinator
 * knows whether to commit them.
 * @param idleInTransactionSeconds undefined: no session is terminated
 * @returns the terminated sessions for a message. Empty: none
 */
export async function terminateIdle(
  client: Client,
  blockers: readonly Blocker[],
  idleInTransactionSeconds: number | undefined,
  log: Log,
): Promise<string> {
  if (idleInTransactionSeconds === undefined) return '';
  const terminated: Blocker[] = [];
  for (const blocker of blockers) {
    if (blocker.kind !== 'session') continue;
    if ((blocker.idleInTransactionSeconds ?? -1) < idleInTransactionSeconds) continue;
    try {
      // The statement checks the session again: one that has continued in the meantime is not terminated.
      const { rows } = await client.query<{ terminated: boolean }>(
        `select pg_terminate_backend(pid) as terminated
           from pg_stat_activity
          where pid = $1 and state like 'idle in transaction%'
            and state_change <= clock_timestamp() - make_interval(secs => $2)`,
        [blocker.pid, idleInTransactionSeconds],
      );
      if (rows[0]?.terminated) terminated.push(blocker);
    } catch (error) {
      if (sqlstateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
      log.warn(
        'This role may not terminate a session that blocks the build. Run GRANT pg_signal_backend TO the role.',
        { session: describeBlocker(blocker) },
      );
    }
  }
  return describeBlockers(terminated);
}

/**
 * Cancels a build that has waited too long for its first lock. It has not built anything yet, so no work is lost. A build
 * that has started is never canceled.
 * @param waitSeconds longest wait
 * @returns whether it was canceled
 */
export async function cancelIfNeverStarted(
  client: Client,
  pid: number,
  waitSeconds: number,
): Promise<boolean> {
  const { rows } = await client.query<{ canceled: boolean }>(
    `select pg_cancel_backend(a.pid) as canceled
       from pg_stat_activity a
       left join pg_stat_progress_create_index p on p.pid = a.pid
      where a.pid = $1
        and a.wait_event_type = 'Lock' and a.wait_event = 'relation'
        and coalesce(p.phase, 'initializing') = 'initializing'
        and a.query_start < clock_timestamp() - make_interval(secs => $2)`,
    [pid, waitSeconds],
  );
  return rows[0]?.canceled === true;
}
