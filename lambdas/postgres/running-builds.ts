import type { BuildIndexResult } from '../shared/build-payloads.ts';
import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';

/** Progress of a build, from pg_stat_progress_create_index. */
interface BuildProgress {
  pid: number;
  phase: string;
  /** Completed part of the phase, from 0 to 1. Null: the phase reports no progress. */
  fraction: number | null;
}

/**
 * SQL for the completed part of a phase, from 0 to 1, from pg_stat_progress_create_index as `p`. Null while a build waits
 * or sorts: the view then still shows the counts of the previous phase.
 */
export const PHASE_FRACTION = `
  case when p.phase like 'waiting%' or p.phase like '%: sorting%' then null
       when p.blocks_total > 0 then least(1, p.blocks_done::float8 / p.blocks_total)
       when p.tuples_total > 0 then least(1, p.tuples_done::float8 / p.tuples_total)
  end`;

/** Reads the progress of all builds on a table, of every session. Without pg_read_all_stats other roles' are hidden. */
export async function readProgress(client: Client, table: Table): Promise<BuildProgress[]> {
  const { rows } = await client.query<BuildProgress>(
    `select p.pid,
            p.phase,
            ${PHASE_FRACTION} as fraction
       from pg_stat_progress_create_index p
       join pg_class t on t.oid = p.relid
       join pg_namespace n on n.oid = t.relnamespace
      where p.datname = current_database() and n.nspname = $1 and t.relname = $2`,
    [table.schema, table.table],
  );
  return rows;
}

/**
 * SQL for whether a role can build an index on the table `t`. Since version 17, REINDEX needs only the privilege MAINTAIN.
 * @param role expression of type oid
 */
const canBuild = (role: string): string => `
  (pg_has_role(${role}, t.relowner, 'member')
   or case when current_setting('server_version_num')::int >= 170000
           then has_table_privilege(${role}, t.oid, 'maintain') else false end)`;

/**
 * Finds other sessions that build an index on a table: they hold or request SHARE UPDATE EXCLUSIVE on the table and are in
 * the progress view. Also finds builds whose progress is hidden from this role. A session can hold this lock on the table
 * while it builds on another one: it is omitted if the view shows the other table, or if its role cannot build on this one.
 * @returns the process IDs of their backends
 */
export async function otherBuilders(client: Client, table: Table): Promise<number[]> {
  const { rows } = await client.query<{ pid: number }>(
    `select distinct l.pid
       from pg_locks l
       join pg_class t on t.oid = l.relation
       join pg_namespace n on n.oid = t.relnamespace
       join pg_stat_progress_create_index p on p.pid = l.pid
       join pg_stat_activity a on a.pid = l.pid
      where l.locktype = 'relation'
        and l.database = (select oid from pg_database where datname = current_database())
        and n.nspname = $1 and t.relname = $2
        and l.mode = 'ShareUpdateExclusiveLock'
        -- REINDEX of a table also rebuilds the index of its TOAST table. Null: hidden from this role.
        and (p.relid in (t.oid, t.reltoastrelid) or p.relid is null and ${canBuild('a.usesysid')})
        and l.pid <> pg_backend_pid()`,
    [table.schema, table.table],
  );
  return rows.map((row) => row.pid);
}

/** Assumed duration of a statement that is hidden, in seconds: a compromise between short and long builds. */
const HIDDEN_SECONDS = 100;

/** How long a session has been running its statement, in seconds. Without pg_read_all_stats other roles' are hidden. */
export async function secondsBuilding(client: Client, pid: number): Promise<number> {
  const { rows } = await client.query<{ seconds: number | null }>(
    `select extract(epoch from clock_timestamp() - query_start)::float8 as seconds
       from pg_stat_activity
      where pid = $1`,
    [pid],
  );
  const [row] = rows;
  // The session has ended in the meantime: check again soon.
  if (row === undefined) return 0;
  return row.seconds ?? HIDDEN_SECONDS;
}

/** Limits of the pause between two checks of a build, in seconds. */
const SHORTEST_PAUSE = 2;
const LONGEST_PAUSE = 30;

/**
 * The pause before the next check of a build, in seconds: short near the end of a phase, long in the middle of a long one.
 * @param buildingForSeconds how long the build has been running
 */
export function pauseFor(progress: BuildProgress | undefined, buildingForSeconds: number): number {
  // A tenth of the time so far, so that the end of a build is noticed at most a tenth late.
  const tenth = Math.round(buildingForSeconds / 10);
  const nearEnd = progress?.fraction != null && progress.fraction > 0.9;
  const soon = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, nearEnd ? Math.round(tenth / 3) : tenth));
  // After half an hour, a sixtieth of the time so far: an execution's history is limited to 25,000 events, and the checks of
  // a build that waits for days behind an old transaction must not use them up.
  return Math.max(soon, Math.round(buildingForSeconds / 60));
}

/** The result for a build that continues in its session. @param buildingForSeconds how long the build has been running */
export function stillBuilding(buildingForSeconds: number, progress?: BuildProgress): BuildIndexResult {
  return { state: 'building', status: 'building', waitSeconds: pauseFor(progress, buildingForSeconds) };
}
