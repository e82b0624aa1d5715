import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';

/** How far a build is, from pg_stat_progress_create_index. */
export interface BuildProgress {
  pid: number;
  phase: string;
  /** Of the phase, 0 to 1. Null: the phase has no measure. */
  fraction: number | null;
}

/**
 * SQL for the completed fraction of a phase, 0 to 1, from pg_stat_progress_create_index as `p`. Null while a build waits
 * or sorts: the view then still shows the counts of the previous phase.
 */
export const PHASE_FRACTION = `
  case when p.phase like 'waiting%' or p.phase like '%: sorting%' then null
       when p.blocks_total > 0 then least(1, p.blocks_done::float8 / p.blocks_total)
       when p.tuples_total > 0 then least(1, p.tuples_done::float8 / p.tuples_total)
  end`;

/** The running builds on a table, by any session. Another role's rows are hidden without pg_read_all_stats. */
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
 * Sessions that hold a lock on the table as a concurrent build does (SHARE UPDATE EXCLUSIVE) and are inside a CREATE
 * INDEX: a build by another session, also one whose progress this role may not see.
 */
export async function otherBuilders(client: Client, table: Table): Promise<number[]> {
  const { rows } = await client.query<{ pid: number }>(
    `select distinct l.pid
       from pg_locks l
       join pg_class t on t.oid = l.relation
       join pg_namespace n on n.oid = t.relnamespace
       left join pg_stat_progress_create_index p on p.pid = l.pid
      where l.locktype = 'relation'
        and l.database = (select oid from pg_database where datname = current_database())
        and n.nspname = $1 and t.relname = $2
        and l.mode = 'ShareUpdateExclusiveLock'
        and p.pid is not null
        and l.pid <> pg_backend_pid()`,
    [table.schema, table.table],
  );
  return rows.map((row) => row.pid);
}

/** For how long a session has been at its statement, in seconds. Another role's is hidden without pg_read_all_stats. */
export async function buildingFor(client: Client, pid: number): Promise<number> {
  const { rows } = await client.query<{ seconds: number | null }>(
    `select extract(epoch from clock_timestamp() - query_start)::float8 as seconds
       from pg_stat_activity
      where pid = $1`,
    [pid],
  );
  const [row] = rows;
  // Gone since: look again soon. Hidden: seldom enough for a long build, soon enough for a short one.
  return row === undefined ? 0 : (row.seconds ?? HIDDEN_SECONDS);
}

const HIDDEN_SECONDS = 100;

/** Pauses between two looks at a build, in seconds. */
const SHORTEST_PAUSE = 2;
const LONGEST_PAUSE = 30;

/** When to look again: soon near the end of a phase, seldom in the middle of a long one. */
export function pauseFor(progress: BuildProgress | undefined, buildingForSeconds: number): number {
  // A tenth of what it took so far, so that no build is seen to end more than a tenth late.
  const tenth = Math.round(buildingForSeconds / 10);
  const nearEnd = progress?.fraction != null && progress.fraction > 0.9;
  const soon = Math.min(LONGEST_PAUSE, Math.max(SHORTEST_PAUSE, nearEnd ? Math.round(tenth / 3) : tenth));
  // Past half an hour a sixtieth of it: a build that waits for days behind an old transaction must not fill the
  // execution's history, which holds 25,000 events, with looks.
  return Math.max(soon, Math.round(buildingForSeconds / 60));
}
