import type { Client } from './client.ts';

/** A column with what pg_stats knows about it. */
export interface ColumnFacts {
  readonly name: string;
  readonly type: string;
  /** The type of a domain, otherwise the same. */
  readonly baseType: string;
  /** One of pg_type's categories: A for arrays, S for strings. */
  readonly category: string;
  /** Average width of its values in bytes. */
  readonly width: number;
  /** As in pg_stats: a number of values, or if negative a fraction of the rows. Null: the column was never analyzed. */
  readonly distinct: number | null;
  readonly nullFraction: number | null;
  readonly correlation: number | null;
  /** Its values are sorted by bytes, so that LIKE 'x%' can use an ordinary index. */
  readonly sortsByBytes: boolean;
  /** It has a default B-tree operator class. */
  readonly sortable: boolean;
}

/** One key column of an index. */
export interface IndexKeyFacts {
  /** Null: an expression. */
  readonly column: string | null;
  /** As pg_get_indexdef prints it. */
  readonly text: string;
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  /** It has another operator class than the default of its type. */
  readonly opclass: string | null;
}

/** A valid index. */
export interface IndexFacts {
  readonly name: string;
  readonly method: string;
  readonly unique: boolean;
  readonly constraint: boolean;
  readonly keys: readonly IndexKeyFacts[];
  readonly include: readonly string[];
  /** The predicate. Null: the index is not partial. */
  readonly where: string | null;
}

/** A table, or a partitioned table with all its partitions. */
export interface TableFacts {
  readonly oid: number;
  readonly schema: string;
  readonly table: string;
  /** Number of rows that the size of the table and its statistics show. */
  readonly rows: number;
  /** False: neither VACUUM nor ANALYZE has counted them, and they follow from the size alone. */
  readonly counted: boolean;
  /** Size in pages. */
  readonly pages: number;
  /** Part of the pages that an index-only scan need not read. */
  readonly allVisible: number;
  readonly partitioned: boolean;
  readonly columns: readonly ColumnFacts[];
  readonly indexes: readonly IndexFacts[];
}

/** The partitions of a table, and the table itself. A partition's facts are those of its root. */
const TABLES = `
  with recursive asked as (
    select c.oid as asked, c.oid as top from pg_class c join pg_namespace n on n.oid = c.relnamespace
      join jsonb_to_recordset($1::jsonb) as one (schema name, "table" name)
        on one.schema = n.nspname and one."table" = c.relname
     where c.relkind in ('r', 'p', 'm')
  ), up as (
    select asked, top, true as is_partition from asked
    union all
    select up.asked, i.inhparent, true from up
      join pg_class c on c.oid = up.top and c.relispartition
      join pg_inherits i on i.inhrelid = up.top
  ), root as (
    select distinct on (up.asked) up.asked, up.top from up join pg_class c on c.oid = up.top and not c.relispartition
  ), tree as (
    select distinct top, top as relid from root
    union
    select tree.top, i.inhrelid from tree join pg_inherits i on i.inhparent = tree.relid
  ), sizes as (
    select tree.top,
           sum(s.pages)::float8 as pages,
           sum(case when s.pages = 0 then 0
                    when c.reltuples >= 0 and c.relpages > 0 then c.reltuples / c.relpages * s.pages
                    else s.pages * s.density end)::float8 as rows,
           bool_and(s.pages = 0 or (c.reltuples >= 0 and c.relpages > 0)) as counted,
           sum(case when c.relpages > 0 then c.relallvisible::float8 / c.relpages * s.pages else 0 end)::float8 as visible
      from tree join pg_class c on c.oid = tree.relid
      cross join lateral (
        select (coalesce(pg_relation_size(c.oid), 0) / current_setting('block_size')::int)::float8 as pages,
               -- As the planner estimates the rows of a page: their width with their header, without free space.
               floor((current_setting('block_size')::int - 24) / (28 + coalesce(
                 (select sum(case when a.attlen > 0 then a.attlen else 32 end)
                    from pg_attribute a where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), 32)::float8))
                 as density) s
     where c.relkind in ('r', 'm')
     group by tree.top
  )
  select root.asked::int8::float8 as asked, c.oid::int8::float8 as oid, n.nspname as schema, c.relname as "table",
         a.nspname as "askedSchema", a.relname as "askedTable",
         coalesce(s.rows, 0) as rows, coalesce(s.counted, true) as counted, coalesce(s.pages, 0) as pages,
         case when s.pages > 0 then least(1, s.visible / s.pages) else 0 end as "allVisible",
         c.relkind = 'p' as partitioned
    from root
    join pg_class c on c.oid = root.top
    join pg_namespace n on n.oid = c.relnamespace
    join lateral (select an.nspname, ac.relname from pg_class ac join pg_namespace an on an.oid = ac.relnamespace
                   where ac.oid = root.asked) a on true
    left join sizes s on s.top = root.top`;

const COLUMNS = `
  select a.attname as name, format_type(a.atttypid, a.atttypmod) as type,
         format_type(base.type, null) as "baseType", t.typcategory as category,
         coalesce(s.avg_width, nullif(a.attlen, -1), 32)::float8 as width,
         s.n_distinct::float8 as "distinct", s.null_frac::float8 as "nullFraction", s.correlation::float8 as correlation,
         (coll.collcollate in ('C', 'POSIX') or (coll.oid = 100 and (
            d.datcollate in ('C', 'POSIX') or d.datlocprovider_text = 'b'))) is true as "sortsByBytes",
         exists (select from pg_opclass o join pg_am am on am.oid = o.opcmethod
                  where am.amname = 'btree' and o.opcdefault
                    and (o.opcintype = base.type
                      or exists (select from pg_cast k where k.castsource = base.type and k.casttarget = o.opcintype
                                    and k.castmethod = 'b' and k.castcontext = 'i')
                      or (t.typtype = 'e' and o.opcintype = 'anyenum'::regtype)
                      or (t.typcategory = 'A' and o.opcintype = 'anyarray'::regtype)
                      or (t.typtype = 'r' and o.opcintype = 'anyrange'::regtype))) as sortable
    from pg_attribute a
    join pg_class c on c.oid = a.attrelid
    join pg_namespace n on n.oid = c.relnamespace
    join pg_type t on t.oid = a.atttypid
    cross join lateral (select case when t.typtype = 'd' then t.typbasetype else t.oid end as type) base
    cross join (select datcollate, to_jsonb(db) ->> 'datlocprovider' as datlocprovider_text
                  from pg_database db where datname = current_database()) d
    left join pg_collation coll on coll.oid = a.attcollation
    left join lateral (select * from pg_stats s
                        where s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
                        order by s.inherited = (c.relkind = 'p') desc limit 1) s on true
   where a.attrelid = $1::oid and a.attnum > 0 and not a.attisdropped
   order by a.attnum`;

const INDEXES = `
  select c.relname as name, am.amname as method, i.indisunique as "unique",
         exists (select from pg_constraint con where con.conindid = c.oid and con.contype in ('p', 'u', 'x')) as "constraint",
         pg_get_expr(i.indpred, i.indrelid) as where,
         (select jsonb_agg(jsonb_build_object(
                   'column', a.attname,
                   'text', pg_get_indexdef(c.oid, k.position::int, true),
                   'descending', (i.indoption[k.position - 1] & 1) = 1,
                   'nullsFirst', (i.indoption[k.position - 1] & 2) = 2,
                   'opclass', (select o.opcname from pg_opclass o
                                where o.oid = i.indclass[k.position - 1] and not o.opcdefault)) order by k.position)
            from generate_series(1, i.indnkeyatts) as k (position)
            left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k.position - 1] and a.attnum > 0)
           as keys,
         (select coalesce(jsonb_agg(a.attname order by k.position), '[]')
            from generate_series(i.indnkeyatts + 1, i.indnatts) as k (position)
            join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k.position - 1]) as include
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_am am on am.oid = c.relam
   where i.indrelid = $1::oid and i.indisvalid
   order by c.relname`;

/** Key of a table that was asked for. */
export function askedKey(schema: string, table: string): string {
  return JSON.stringify([schema, table]);
}

/**
 * The facts of tables that a plan names. For a partition, those of the table that it is part of.
 * @returns by `askedKey`, without relations that are no tables
 */
export async function readTableFacts(
  client: Client,
  tables: readonly { readonly schema: string; readonly table: string }[],
): Promise<Map<string, TableFacts>> {
  const { rows } = await client.query<
    Omit<TableFacts, 'columns' | 'indexes'> & { asked: number; askedSchema: string; askedTable: string }
  >(TABLES, [JSON.stringify(tables)]);
  const byOid = new Map<number, TableFacts>();
  const found = new Map<string, TableFacts>();
  for (const { asked: _, askedSchema, askedTable, ...table } of rows) {
    const facts = byOid.get(table.oid) ?? {
      ...table,
      columns: (await client.query<ColumnFacts>(COLUMNS, [table.oid])).rows,
      indexes: (await client.query<IndexFacts>(INDEXES, [table.oid])).rows,
    };
    byOid.set(table.oid, facts);
    found.set(askedKey(askedSchema, askedTable), facts);
  }
  return found;
}

/** The costs with which the planner of this session compares scans. */
export interface PlannerCosts {
  readonly seqPage: number;
  readonly randomPage: number;
  readonly tuple: number;
  readonly indexTuple: number;
  readonly operator: number;
  /** In pages. */
  readonly cache: number;
  readonly workers: number;
}

export async function readPlannerCosts(client: Client): Promise<PlannerCosts> {
  const { rows } = await client.query<PlannerCosts>(
    `select current_setting('seq_page_cost')::float8 as "seqPage", current_setting('random_page_cost')::float8 as "randomPage",
            current_setting('cpu_tuple_cost')::float8 as tuple, current_setting('cpu_index_tuple_cost')::float8 as "indexTuple",
            current_setting('cpu_operator_cost')::float8 as operator,
            (select setting::float8 from pg_settings where name = 'effective_cache_size') as cache,
            current_setting('max_parallel_workers_per_gather')::int as workers`,
  );
  const [costs] = rows;
  if (costs === undefined) throw new Error('The settings of the planner cannot be read.');
  return costs;
}

/** The names of indexes of partitions, with that of the index of the whole table: by `askedKey` of schema and name. */
export async function readRootIndexes(
  client: Client,
  indexes: readonly { readonly schema: string; readonly name: string }[],
): Promise<Map<string, string>> {
  const { rows } = await client.query<{ schema: string; name: string; root: string }>(
    `with recursive up as (
       select n.nspname as schema, c.relname as name, c.oid as relid from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         join jsonb_to_recordset($1::jsonb) as one (schema name, name name) on one.schema = n.nspname and one.name = c.relname
        where c.relkind in ('i', 'I')
       union all
       select up.schema, up.name, i.inhparent from up join pg_inherits i on i.inhrelid = up.relid
     )
     select up.schema, up.name, c.relname as root from up join pg_class c on c.oid = up.relid and not c.relispartition`,
    [JSON.stringify(indexes)],
  );
  return new Map(rows.map(({ schema, name, root }) => [askedKey(schema, name), root]));
}
