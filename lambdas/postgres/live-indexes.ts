import type { Client } from './client.ts';
import type { Named, Table } from './identifiers.ts';
import { MARK } from './read-only.ts';
import { readUnlocked } from './unlocked-tables.ts';

/** An index of a live database: what it is, what depends on it, and how often it was scanned. */
export interface LiveIndex extends Table, Named {
  readonly oid: number;
  /** Access method, such as btree. */
  readonly method: string;
  readonly unique: boolean;
  readonly valid: boolean;
  /** Writes maintain it, also if it is not valid. */
  readonly ready: boolean;
  readonly replicaIdentity: boolean;
  /** Index of a partitioned table. It has no files of its own. */
  readonly partitioned: boolean;
  /** Belongs to the index of a partitioned table. */
  readonly attached: boolean;
  /** Oid of that index. Null: it is not attached. */
  readonly parent: number | null;
  readonly bytes: number;
  /** Entries, as the last VACUUM or ANALYZE counted them. -1: never. */
  readonly tuples: number;
  /** The primary key, unique or exclusion constraint that it enforces. */
  readonly constraint: string | null;
  /** Foreign keys that refer to its table through it. */
  readonly foreignKeys: number;
  /** Key columns. Null: an expression. */
  readonly keys: readonly (string | null)[];
  /** Columns of INCLUDE. */
  readonly include: readonly string[];
  readonly partial: boolean;
  /** Scans since the statistics began. Null: the server has none. */
  readonly scans: number | null;
  /** From version 16 on. Null: it is not known, or there was none. */
  readonly lastScan: Date | null;
  /** The index is not younger than this. Null: the server does not keep commit timestamps. */
  readonly existedAt: Date | null;
  /** For each key: operator class, collation, sort order. Two equal lists with equal keys mean the same order. */
  readonly keyKinds: readonly string[];
  /** Deferrable, NULLS NOT DISTINCT, exclusion: what makes another index of a unique one. */
  readonly kind: string;
  readonly options: readonly string[];
  readonly clustered: boolean;
}

/** SQL for the tables `t` in schemas `n` that are the user's own. */
export const OWN_TABLES = `
  n.nspname not like 'pg\\_%'
  and n.nspname not in ('information_schema', 'deploy_step')
  and t.relpersistence <> 't'
  and not exists (select from pg_depend d
                   where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e')`;

/** Reads all indexes of user tables. Every role can. It takes no lock on any of them. */
export async function readLiveIndexes(client: Client): Promise<LiveIndex[]> {
  // The JSON of a row has the columns that only newer versions have.
  const { rows } = await client.query<LiveIndex>(
    `${MARK}
     -- pg_constraint has no index on this column.
     with constraints as (
       select conindid,
              min(conname::text) filter (where contype in ('p', 'u', 'x')) as "constraint",
              (count(*) filter (where contype = 'f'))::int as "foreignKeys"
         from pg_constraint
        where conindid <> 0
        group by conindid
     )
     select i.indexrelid::int8::float8 as oid,
            n.nspname as schema,
            t.relname as "table",
            c.relname as name,
            am.amname as method,
            i.indisunique as "unique",
            i.indisvalid as valid,
            i.indisready as ready,
            i.indisreplident as "replicaIdentity",
            i.indisclustered as clustered,
            c.relkind = 'I' as partitioned,
            c.relispartition as attached,
            inh.inhparent::int8::float8 as parent,
            c.relpages::float8 * current_setting('block_size')::int as bytes,
            c.reltuples::float8 as tuples,
            con."constraint",
            coalesce(con."foreignKeys", 0) as "foreignKeys",
            (select coalesce(array_agg(a.attname::text order by k), '{}')
               from generate_series(0, i.indnkeyatts - 1) k
               left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k] and i.indkey[k] <> 0) as keys,
            (select coalesce(array_agg(a.attname::text order by k), '{}')
               from generate_series(i.indnkeyatts, i.indnatts - 1) k
               join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k]) as include,
            i.indpred is not null as partial,
            s.idx_scan::float8 as scans,
            (to_jsonb(s) ->> 'last_idx_scan')::timestamptz as "lastScan",
            case when current_setting('track_commit_timestamp') = 'on'
                 then least(pg_xact_commit_timestamp(c.xmin), pg_xact_commit_timestamp(i.xmin)) end as "existedAt",
            (select coalesce(array_agg(concat_ws(' ', i.indclass[k], i.indcollation[k], i.indoption[k], ia.attoptions::text) order by k), '{}')
               from generate_series(0, i.indnkeyatts - 1) k
               join pg_attribute ia on ia.attrelid = i.indexrelid and ia.attnum = k + 1) as "keyKinds",
            concat_ws(' ', i.indimmediate, i.indisexclusion, to_jsonb(i) ->> 'indnullsnotdistinct') as kind,
            coalesce(c.reloptions, '{}') as options
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
       join pg_class t on t.oid = i.indrelid
       join pg_namespace n on n.oid = t.relnamespace
       join pg_am am on am.oid = c.relam
       left join constraints con on con.conindid = i.indexrelid
       left join pg_inherits inh on inh.inhrelid = i.indexrelid
       left join pg_stat_all_indexes s on s.indexrelid = i.indexrelid
      where i.indislive and ${OWN_TABLES}
      order by n.nspname, t.relname, c.relname`,
  );
  return rows;
}

/** The texts of an index that the server deparses. */
export interface IndexTexts {
  readonly oid: number;
  /** Its CREATE INDEX statement. */
  readonly statement: string;
  /** Each key column or expression. */
  readonly keys: readonly string[];
  /** Empty: it is not partial. */
  readonly predicate: string;
}

/**
 * Reads the texts of indexes by oid. The server locks a table for a moment to deparse its expressions.
 * @returns `locked`: the tables that another session has locked, by `tableKey`. Their indexes are left out
 */
export async function readIndexTexts(
  client: Client,
  indexes: readonly LiveIndex[],
): Promise<{ texts: Map<number, IndexTexts>; locked: Set<string> }> {
  const { rows, locked } = await readUnlocked(client, indexes, async (some) => {
    const answer = await client.query<IndexTexts>(
      `${MARK}
       select i.indexrelid::int8::float8 as oid,
              pg_get_indexdef(i.indexrelid) as statement,
              (select array_agg(pg_get_indexdef(i.indexrelid, k, false) order by k)
                 from generate_series(1, i.indnkeyatts) k) as keys,
              coalesce(pg_get_expr(i.indpred, i.indrelid), '') as predicate
         from pg_index i
        where i.indexrelid = any ($1::oid[])`,
      [some.map(({ oid }) => oid)],
    );
    return answer.rows;
  });
  // The statement of an index that was dropped meanwhile is null.
  const found = rows.filter(({ statement }) => statement !== null);
  return { texts: new Map(found.map((one) => [one.oid, one])), locked };
}

/** Who works on an index. */
export type Worker = 'builder' | 'perhaps';

/**
 * Finds the indexes that a session builds, rebuilds or drops at the moment, by oid. `perhaps`: a session builds on the table,
 * and this role may not see which index.
 */
export async function readWorkers(client: Client): Promise<Map<number, Worker>> {
  const { rows } = await client.query<{ oid: number; worker: Worker }>(
    `${MARK}
     with locks as materialized (
       select relation, pid, mode from pg_locks
        where locktype = 'relation' and granted and pid is distinct from pg_backend_pid()
          and database = (select oid from pg_database where datname = current_database())
     ), builders as (
       select pid, index_relid, relid, command from pg_stat_progress_create_index where datname = current_database()
     )
     select i.indexrelid::int8::float8 as oid,
            case when bool_or(b.index_relid = i.indexrelid or b.command like 'REINDEX%' and b.relid = i.indrelid or l.worker)
                 then 'builder' else 'perhaps' end as worker
       from pg_index i
       left join builders b
         on b.index_relid = i.indexrelid
         or b.relid = i.indrelid and b.command like 'REINDEX%'
         or b.relid is null
            and exists (select from locks where locks.pid = b.pid and locks.relation = i.indrelid
                                            and locks.mode = 'ShareUpdateExclusiveLock')
       -- DROP INDEX CONCURRENTLY and REINDEX lock the index itself.
       left join lateral (select true as worker from locks
                           where locks.relation = i.indexrelid
                             and locks.mode in ('ShareUpdateExclusiveLock', 'AccessExclusiveLock')
                           limit 1) l on true
      where not i.indisvalid and (b.pid is not null or l.worker)
      group by i.indexrelid`,
  );
  return new Map(rows.map(({ oid, worker }) => [oid, worker]));
}
