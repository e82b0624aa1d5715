import type { Log } from '../shared/logger.ts';
import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';
import { INSUFFICIENT_PRIVILEGE, sqlstateOf } from './sqlstate.ts';

/** A session that blocks another session. */
interface Blocker {
  pid: number;
  application: string;
  /** As in pg_stat_activity: active, idle in transaction, … */
  state: string;
  /** Age of its transaction, in seconds. Null: unknown. */
  ageSeconds: number | null;
  /** What the session itself waits for, as wait_event_type/wait_event. Null: it does not wait. */
  waitsFor: string | null;
  /** How long it has been idle in its transaction, in seconds. Null: it is not idle in a transaction. */
  idleInTransactionSeconds: number | null;
}

const DETAILS = `
  coalesce(nullif(a.application_name, ''), a.backend_type, 'unknown') as application,
  coalesce(a.state, a.backend_type, 'state hidden without pg_read_all_stats') as state,
  extract(epoch from clock_timestamp() - a.xact_start)::int as "ageSeconds",
  a.wait_event_type || '/' || a.wait_event as "waitsFor",
  case when a.state like 'idle in transaction%'
       then extract(epoch from clock_timestamp() - a.state_change)::float8 end as "idleInTransactionSeconds"`;

/**
 * Finds the sessions that block a concurrent build on a table: they hold a lock that conflicts with SHARE UPDATE EXCLUSIVE,
 * or wait for one. A waiting session blocks the build as well, and so do the sessions that it waits for.
 */
export async function blockersOfTable(client: Client, table: Table): Promise<Blocker[]> {
  const { rows } = await client.query<Blocker>(
    `with direct as (
       select l.pid, l.granted
         from pg_locks l
         join pg_class t on t.oid = l.relation
         join pg_namespace n on n.oid = t.relnamespace
        where l.locktype = 'relation'
          and l.database = (select oid from pg_database where datname = current_database())
          and n.nspname = $1 and t.relname = $2
          and l.mode in ('ShareUpdateExclusiveLock', 'ShareLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
                         'AccessExclusiveLock')
          and l.pid <> pg_backend_pid()
     ), pids as (
       select pid from direct
        union
       select unnest(pg_blocking_pids(pid)) from direct where not granted
     )
     select a.pid, ${DETAILS}
       from pids
       join pg_stat_activity a using (pid)
      where a.pid <> pg_backend_pid()
      order by a.xact_start`,
    [table.schema, table.table],
  );
  return rows;
}

/** Finds the sessions that a backend waits for: for a lock, or for the end of their transactions. */
export async function blockersOfBackend(client: Client, pid: number): Promise<Blocker[]> {
  const { rows } = await client.query<Blocker>(
    `select a.pid, ${DETAILS} from pg_stat_activity a where a.pid = any (pg_blocking_pids($1))`,
    [pid],
  );
  return rows;
}

/** The blockers for a message. Empty: no blocker is known. */
export function describeBlockers(blockers: readonly Blocker[]): string {
  return blockers.map(describeBlocker).join(', ');
}

function describeBlocker(blocker: Blocker): string {
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
 * Terminates the blockers that have been idle in their transaction for too long. A session that the role may not terminate
 * stays, with a warning in the log, and the build continues to wait for it.
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
