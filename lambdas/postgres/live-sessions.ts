import type { Client } from './client.ts';
import { MARK } from './read-only.ts';

/** A session of the database, or what this role may see of it. Times are in seconds. */
export interface LiveSession {
  readonly pid: number;
  readonly role: string | null;
  readonly application: string;
  /** As in pg_stat_activity. Null: this role may not see it. */
  readonly state: string | null;
  /** How long its statement has been running. Null: none is. */
  readonly activeSeconds: number | null;
  /** How long its transaction has been open. Null: it has none. */
  readonly transactionSeconds: number | null;
  /** How long after the begin of the transaction the statement began. */
  readonly statementAfterSeconds: number | null;
  /** As wait_event_type/wait_event. Null: it does not wait. */
  readonly waitsFor: string | null;
  readonly blockedBy: readonly number[];
  /** Its statement, with values of rows. Do not show it: see masked-statement.ts. */
  readonly query: string | null;
  /** It builds an index, or runs VACUUM, ANALYZE, CLUSTER, COPY or a base backup. */
  readonly maintenance: string | null;
  /** Transactions that have begun since the oldest one that its snapshot still sees as running. */
  readonly snapshotAge: number | null;
}

/** Reads the other sessions of clients in the current database. */
export async function readLiveSessions(client: Client): Promise<LiveSession[]> {
  const { rows } = await client.query<LiveSession>(
    `${MARK}
     with progress as (
       select pid, 'builds an index' as what from pg_stat_progress_create_index
       union all select pid, 'runs VACUUM' from pg_stat_progress_vacuum
       union all select pid, 'runs ANALYZE' from pg_stat_progress_analyze
       union all select pid, 'runs CLUSTER or VACUUM FULL' from pg_stat_progress_cluster
       union all select pid, 'runs COPY' from pg_stat_progress_copy
     )
     select a.pid,
            a.usename as role,
            coalesce(a.application_name, '') as application,
            a.state,
            case when a.state = 'active' then extract(epoch from clock_timestamp() - a.query_start)::float8 end as "activeSeconds",
            extract(epoch from clock_timestamp() - a.xact_start)::float8 as "transactionSeconds",
            extract(epoch from a.query_start - a.xact_start)::float8 as "statementAfterSeconds",
            case when a.state = 'active' and a.wait_event is not null then a.wait_event_type || '/' || a.wait_event end as "waitsFor",
            case when a.wait_event_type = 'Lock' then pg_blocking_pids(a.pid) else '{}' end as "blockedBy",
            a.query,
            (select min(what) from progress where progress.pid = a.pid) as maintenance,
            age(a.backend_xmin) as "snapshotAge"
       from pg_stat_activity a
      where a.datname = current_database()
        and a.pid <> pg_backend_pid()
        -- Null: this role may not see what it is.
        and coalesce(a.backend_type, 'client backend') = 'client backend'
      order by a.xact_start`,
  );
  return rows;
}

/** A replication slot that can keep VACUUM from removing rows, or WAL from being removed. */
export interface LiveSlot {
  readonly name: string;
  readonly type: 'physical' | 'logical';
  readonly active: boolean;
  /** Transactions since the oldest one whose rows it keeps. Null: it keeps none. */
  readonly age: number | null;
  /** WAL that it keeps. Null: none. */
  readonly walBytes: number | null;
}

/** Reads the replication slots of this database, and those of the whole server. */
export async function readLiveSlots(client: Client): Promise<LiveSlot[]> {
  const { rows } = await client.query<LiveSlot>(
    `${MARK}
     select s.slot_name as name,
            s.slot_type as type,
            s.active,
            greatest(age(s.xmin), age(s.catalog_xmin)) as age,
            pg_wal_lsn_diff(case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_lsn() end,
                            s.restart_lsn)::float8 as "walBytes"
       from pg_replication_slots s
      where not s.temporary and coalesce(s.database = current_database(), true)
      order by s.slot_name`,
  );
  return rows;
}

/** A prepared transaction of the current database. */
export interface LivePreparedTransaction {
  readonly gid: string;
  readonly owner: string;
  readonly ageSeconds: number;
  /** Tables that it has locked, SCHEMA.TABLE. */
  readonly tables: readonly string[];
}

/** Reads the prepared transactions of the current database. Every role can. */
export async function readPreparedTransactions(client: Client): Promise<LivePreparedTransaction[]> {
  const { rows } = await client.query<LivePreparedTransaction>(
    `${MARK}
     with locks as materialized (select * from pg_locks where pid is null)
     select p.gid, p.owner::text as owner,
            extract(epoch from clock_timestamp() - p.prepared)::float8 as "ageSeconds",
            (select coalesce(array_agg(distinct n.nspname || '.' || t.relname), '{}')
               from locks own
               join locks held on held.virtualtransaction = own.virtualtransaction and held.locktype = 'relation'
               join pg_class t on t.oid = held.relation and t.relkind in ('r', 'p', 'm')
               join pg_namespace n on n.oid = t.relnamespace and n.nspname <> 'pg_catalog'
              where own.locktype = 'transactionid' and own.transactionid = p.transaction) as tables
       from pg_prepared_xacts p
      where p.database = current_database()
      order by p.prepared`,
  );
  return rows;
}
