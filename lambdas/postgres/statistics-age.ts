import type { Client } from './client.ts';
import { indexKey, type Named, type Table } from './identifiers.ts';
import { LEDGER } from './ledger.ts';
import { OWN_TABLES } from './live-indexes.ts';
import { MARK } from './read-only.ts';
import { INVALID_SCHEMA_NAME, isConnectionError, sqlstateOf, UNDEFINED_TABLE } from './sqlstate.ts';
import { withTrustedTable } from './trusted-table.ts';

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

/**
 * Reads since when the statistics have been counting. A database whose statistics were never reset has no time of a reset from
 * version 15 on: they began when the database was created, or when the server discarded them after a crash, which resets
 * those of the server too.
 */
export async function readStatisticsAge(client: Client): Promise<StatisticsAge> {
  const { rows } = await client.query<StatisticsAge>(
    `${MARK}
     select coalesce(d.stats_reset, b.stats_reset, pg_postmaster_start_time()) as since,
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

/** The ledger's answer to when indexes were built. */
export interface BuildTimes {
  /** When the ledger recorded the last build, by `indexKey`. An index of a partition counts as that of its table. */
  readonly built: ReadonlyMap<string, Date>;
  /** Why the ledger was not read. Null: it was, or it does not exist. */
  readonly problem: string | null;
}

/** Reads from the ledger when the product has built each index. Call it outside of a transaction. */
export async function readBuildTimes(client: Client): Promise<BuildTimes> {
  try {
    const rows = await withTrustedTable(client, LEDGER, 'access share', async () => {
      const answer = await client.query<Named & { built: Date }>(
        `${MARK}
         select index_schema as schema, index_name as name, max(finished_at) as built
           from deploy_step.index_builds
          where status in ('built', 'repaired') and finished_at is not null
          group by index_schema, index_name`,
      );
      return answer.rows;
    });
    return { built: new Map(rows.map((one) => [indexKey(one), one.built])), problem: null };
  } catch (error) {
    if (isConnectionError(error)) throw error;
    const sqlstate = sqlstateOf(error);
    const isMissing = sqlstate === UNDEFINED_TABLE || sqlstate === INVALID_SCHEMA_NAME;
    return { built: new Map(), problem: isMissing ? null : `${ledgerName(LEDGER)} cannot be read` };
  }
}

function ledgerName({ schema, table }: Table): string {
  return `${schema}.${table}`;
}
