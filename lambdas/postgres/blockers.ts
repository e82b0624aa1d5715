import type { Log } from '../shared/logger.ts';
import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';
import { INSUFFICIENT_PRIVILEGE, sqlstateOf } from './sqlstate.ts';

/** A session that holds another one up. */
export interface Blocker {
  pid: number;
  application: string;
  /** As pg_stat_activity has it: active, idle in transaction, … */
  state: string;
  /** Age of its transaction, in seconds. Null: unknown. */
  ageSeconds: number | null;
  /** What it waits for itself, as wait_event_type/wait_event. Null: for nothing. */
  waitsFor: string | null;
  /** How long it has been idle in its transaction, in seconds. Null: it is not. */
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
 * Sessions with a lock on the table that conflicts with SHARE UPDATE EXCLUSIVE, which every concurrent build needs, or in
 * the queue for one: whoever queues is in the way as much, and then those that it waits for are too.
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

/** Sessions that a backend waits for: for a lock, or for their transaction to end. */
export async function blockersOfBackend(client: Client, pid: number): Promise<Blocker[]> {
  const { rows } = await client.query<Blocker>(
    `select a.pid, ${DETAILS} from pg_stat_activity a where a.pid = any (pg_blocking_pids($1))`,
    [pid],
  );
  return rows;
}

/** Blockers for a message; empty where none is known. */
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
 * Ends the sessions among the blockers that have been idle in their transaction for longer than allowed. One that the role
 * may not end stays, which the log says: the build goes on waiting for it.
 * @returns those that were ended, for a message; empty: none
 */
export async function terminateIdle(
  client: Client,
  blockers: readonly Blocker[],
  idleInTransactionSeconds: number | undefined,
  log: Log,
): Promise<string> {
  if (idleInTransactionSeconds === undefined) return '';
  const ended: Blocker[] = [];
  for (const blocker of blockers) {
    if ((blocker.idleInTransactionSeconds ?? -1) < idleInTransactionSeconds) continue;
    try {
      // Looked at again in the same statement: a session that has gone on since is left alone.
      const { rows } = await client.query<{ ended: boolean }>(
        `select pg_terminate_backend(pid) as ended
           from pg_stat_activity
          where pid = $1 and state like 'idle in transaction%'
            and state_change <= clock_timestamp() - make_interval(secs => $2)`,
        [blocker.pid, idleInTransactionSeconds],
      );
      if (rows[0]?.ended) ended.push(blocker);
    } catch (error) {
      if (sqlstateOf(error) !== INSUFFICIENT_PRIVILEGE) throw error;
      log.warn(
        'A session that holds the build up may not be ended by this role: GRANT pg_signal_backend TO it.',
        {
          session: describeBlocker(blocker),
        },
      );
    }
  }
  return describeBlockers(ended);
}

/**
 * Cancels a build that still waits for its first lock, and has waited for longer than allowed: nothing is built yet, so
 * nothing is lost. One that has begun to build is never cancelled.
 * @returns whether it was cancelled
 */
export async function cancelIfNeverStarted(
  client: Client,
  pid: number,
  waitSeconds: number,
): Promise<boolean> {
  const { rows } = await client.query<{ cancelled: boolean }>(
    `select pg_cancel_backend(a.pid) as cancelled
       from pg_stat_activity a
       left join pg_stat_progress_create_index p on p.pid = a.pid
      where a.pid = $1
        and a.wait_event_type = 'Lock' and a.wait_event = 'relation'
        and coalesce(p.phase, 'initializing') = 'initializing'
        and a.query_start < clock_timestamp() - make_interval(secs => $2)`,
    [pid, waitSeconds],
  );
  return rows[0]?.cancelled === true;
}
