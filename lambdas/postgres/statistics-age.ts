import type { Client } from './client.ts';
import { indexKey, type Named } from './identifiers.ts';
import { OWN_TABLES } from './live-indexes.ts';
import { MARK } from './read-only.ts';

/** Since when a server counts the scans of the current database. */
export interface StatisticsAge {
  readonly since: Date;
  readonly now: Date;
  /** track_counts. Off: scans are not counted. */
  readonly counting: boolean;
  readonly standby: boolean;
  /** Physical standbys that are connected. Null: this role may not see them. */
  readonly standbys: number | null;
}

/** SQL for the time from which on the statistics count, for the row `d` of pg_stat_database and the row `b` of pg_stat_bgwriter. */
export const STATISTICS_SINCE = 'coalesce(d.stats_reset, b.stats_reset, pg_postmaster_start_time())';

/**
 * Reads since when the statistics have been counting. A database whose statistics were never reset has no time of a reset from
 * version 15 on: they began when the database was created, or when the server discarded them after a crash, which resets
 * those of the server too.
 */
export async function readStatisticsAge(client: Client): Promise<StatisticsAge> {
  const { rows } = await client.query<StatisticsAge>(
    `${MARK}
     select ${STATISTICS_SINCE} as since,
            clock_timestamp() as now,
            current_setting('track_counts') = 'on' as counting,
            pg_is_in_recovery() as standby,
            -- A row of another role shows only its pid without pg_read_all_stats.
            (select case when count(*) = count(r.state)
                         then count(*) filter (where not exists (select from pg_replication_slots s
                                                                   where s.active_pid = r.pid and s.slot_type = 'logical'))
                    end::int
               from pg_stat_replication r) as standbys
       from pg_stat_database d, pg_stat_bgwriter b
      where d.datname = current_database()`,
  );
  const [row] = rows;
  if (row === undefined) throw new Error('The server has no statistics of this database.');
  return row;
}

/** How often an index was scanned. */
export interface Scans {
  readonly scans: number;
  /** From version 16 on. Null: it is not known, or there was none. */
  readonly lastScan: Date | null;
}

/** Reads how often each index was scanned, by `indexKey`: of a replica, whose counters are its own. */
export async function readScans(client: Client): Promise<Map<string, Scans>> {
  const { rows } = await client.query<Named & Scans>(
    `${MARK}
     select n.nspname as schema, s.indexrelname as name, s.idx_scan::float8 as scans,
            (to_jsonb(s) ->> 'last_idx_scan')::timestamptz as "lastScan"
       from pg_stat_all_indexes s
       join pg_class t on t.oid = s.relid
       join pg_namespace n on n.oid = t.relnamespace
      where ${OWN_TABLES}`,
  );
  return new Map(rows.map((one) => [indexKey(one), one]));
}
