import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';
import { OWN_TABLES } from './live-indexes.ts';
import { MARK } from './read-only.ts';

/** A table or materialized view of a live database. */
export interface LiveTable extends Table {
  readonly kind: 'table' | 'partitioned table' | 'materialized view';
  /** It is a partition of another table. */
  readonly partition: boolean;
  readonly columns: readonly string[];
  /** Estimate, of a partitioned table for all its partitions. Null: the table was never analyzed and has no statistics. */
  readonly rows: number | null;
  /** Without its indexes; of a partitioned table for all its partitions. */
  readonly bytes: number;
  readonly sequentialScans: number;
  /** Rows that sequential scans have read. */
  readonly sequentialRows: number;
  readonly indexScans: number;
}

/** Reads all user tables. Every role can. It takes no lock on any of them. */
export async function readLiveTables(client: Client): Promise<LiveTable[]> {
  const { rows } = await client.query<LiveTable>(
    `${MARK}
     with sizes as (
       select case when t.relispartition then pg_partition_root(t.oid) else t.oid end as root,
              sum(case when t.relkind = 'p' then 0 else t.relpages end)::float8 * current_setting('block_size')::int as bytes,
              -- The last ANALYZE, or the rows that were written since the statistics began.
              sum(case when t.relkind = 'p' then null
                       when t.reltuples >= 0 or s.n_live_tup > 0 then greatest(t.reltuples, s.n_live_tup, 0) end)::float8 as rows
         from pg_class t
         left join pg_stat_all_tables s on s.relid = t.oid
        where t.relkind in ('r', 'p', 'm')
        group by 1
     )
     select n.nspname as schema,
            t.relname as "table",
            case t.relkind when 'p' then 'partitioned table' when 'm' then 'materialized view' else 'table' end as kind,
            t.relispartition as partition,
            (select coalesce(array_agg(a.attname::text order by a.attnum), '{}') from pg_attribute a
              where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped) as columns,
            case when t.relispartition
                 then case when t.reltuples >= 0 or s.n_live_tup > 0 then greatest(t.reltuples, s.n_live_tup, 0)::float8 end
                 else sizes.rows end as rows,
            case when t.relispartition then t.relpages::float8 * current_setting('block_size')::int else sizes.bytes end as bytes,
            coalesce(s.seq_scan, 0)::float8 as "sequentialScans",
            coalesce(s.seq_tup_read, 0)::float8 as "sequentialRows",
            coalesce(s.idx_scan, 0)::float8 as "indexScans"
       from pg_class t
       join pg_namespace n on n.oid = t.relnamespace
       left join sizes on sizes.root = t.oid
       left join pg_stat_all_tables s on s.relid = t.oid
      where t.relkind in ('r', 'p', 'm') and ${OWN_TABLES}
      order by n.nspname, t.relname`,
  );
  return rows;
}

export interface LiveForeignKey extends Table {
  readonly name: string;
  /** The referencing columns, in the order of the key. */
  readonly columns: readonly string[];
  readonly references: Table;
}

/** Reads the foreign keys of all user tables, without those that a partition inherits. */
export async function readForeignKeys(client: Client): Promise<LiveForeignKey[]> {
  const { rows } = await client.query<LiveForeignKey>(
    `${MARK}
     select n.nspname as schema,
            t.relname as "table",
            con.conname as name,
            (select array_agg(a.attname::text order by k.position)
               from unnest(con.conkey) with ordinality as k (number, position)
               join pg_attribute a on a.attrelid = con.conrelid and a.attnum = k.number) as columns,
            json_build_object('schema', fn.nspname, 'table', ft.relname) as "references"
       from pg_constraint con
       join pg_class t on t.oid = con.conrelid
       join pg_namespace n on n.oid = t.relnamespace
       join pg_class ft on ft.oid = con.confrelid
       join pg_namespace fn on fn.oid = ft.relnamespace
      where con.contype = 'f' and con.conparentid = 0 and ${OWN_TABLES}
      order by n.nspname, t.relname, con.conname`,
  );
  return rows;
}
