import type { Client } from './client.ts';
import { quoteIdentifier } from './identifiers.ts';
import { OWN_TABLES } from './live-indexes.ts';
import { MARK, tryQuery } from './read-only.ts';
import { sqlstateOf } from './sqlstate.ts';
import type { Extension } from './trusted-extension.ts';

/** What the statistics say about the size of a B-tree. */
export interface IndexSize {
  readonly oid: number;
  readonly pages: number;
  readonly pageBytes: number;
  readonly tuples: number;
  /** Percent. */
  readonly fillfactor: number;
  /** Equal keys of a B-tree share one copy of the key. */
  readonly deduplicated: boolean;
  /** Sum of the average widths of all columns. Null: some column has no statistics that this role may see. */
  readonly width: number | null;
  readonly nulls: boolean;
  /** Number of distinct values of each key, as in pg_stats: negative for a part of the rows. */
  readonly distinct: readonly number[];
  /** Whether the table was ever analyzed. Then it is the rights of this role that hide its statistics. */
  readonly analyzed: boolean;
}

/** Reads the sizes of valid B-trees. @param leastBytes smaller ones are left out */
export async function readIndexSizes(client: Client, leastBytes: number): Promise<IndexSize[]> {
  const { rows } = await client.query<IndexSize>(
    `${MARK}
     select i.indexrelid::int8::float8 as oid,
            c.relpages as pages,
            current_setting('block_size')::int as "pageBytes",
            c.reltuples::float8 as tuples,
            coalesce((select option_value::int from pg_options_to_table(c.reloptions) where option_name = 'fillfactor'), 90) as fillfactor,
            not i.indisunique and i.indnatts = i.indnkeyatts
              and coalesce((select option_value::boolean from pg_options_to_table(c.reloptions)
                             where option_name = 'deduplicate_items'), true) as deduplicated,
            case when stats.found = i.indnatts then stats.width end as width,
            coalesce(stats.nulls, false) as nulls,
            coalesce(stats."distinct", '{}') as "distinct",
            coalesce(st.last_analyze, st.last_autoanalyze) is not null as analyzed
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
       join pg_class t on t.oid = i.indrelid
       join pg_namespace n on n.oid = t.relnamespace
       join pg_am am on am.oid = c.relam and am.amname = 'btree'
       left join pg_stat_all_tables st on st.relid = t.oid
       left join lateral (
         select count(s.avg_width)::int as found,
                sum(s.avg_width)::float8 as width,
                bool_or(s.null_frac > 0) as nulls,
                array_agg(s.n_distinct::float8) filter (where k < i.indnkeyatts) as "distinct"
           from generate_series(0, i.indnatts - 1) k
           join pg_attribute ia on ia.attrelid = i.indexrelid and ia.attnum = k + 1
           left join pg_attribute ta on ta.attrelid = i.indrelid and ta.attnum = i.indkey[k] and i.indkey[k] <> 0
           left join pg_stats s
             on s.schemaname = n.nspname and not s.inherited
            and s.tablename = case when i.indkey[k] = 0 then c.relname else t.relname end
            and s.attname = coalesce(ta.attname, ia.attname)
       ) stats on true
      where c.relkind = 'i' and i.indisvalid and ${OWN_TABLES}
        and c.relpages::float8 * current_setting('block_size')::int >= $1
        and c.reltuples >= 0`,
    [leastBytes],
  );
  return rows;
}

/** Sizes in bytes of the parts of a B-tree: see PostgreSQL's nbtree.h and itup.h. */
const PAGE_HEADER = 24 + 16;
const LINE_POINTER = 4;
const TUPLE_HEADER = 8;
const NULL_BITMAP = 8;
const HEAP_POINTER = 6;
/** Most heap pointers that share one key: a tuple has at most a sixth of a page. */
const POINTERS_PER_TUPLE = 200;
/** ANALYZE reads a sample. It can find a tenth of the distinct values of a large table, or fewer. */
const UNDERESTIMATED = 10;
/** Pages above the leaves, as a part of the leaves. */
const INNER_PAGES = 0.01;

const aligned = (bytes: number) => Math.ceil(bytes / 8) * 8;

/** The size that a B-tree would have after REINDEX, in bytes. Null: the statistics do not tell. */
export function estimateRebuiltBytes(size: IndexSize): number | null {
  if (size.width === null) return null;
  const { tuples } = size;
  const tuple = LINE_POINTER + TUPLE_HEADER + (size.nulls ? NULL_BITMAP : 0) + aligned(size.width);
  const distinct = size.distinct
    .map((count) => (count < 0 ? -count * tuples : count))
    .reduce((product, count) => Math.min(tuples, product * Math.max(1, count)), 1);
  const keys = Math.max(Math.min(tuples, distinct * UNDERESTIMATED), tuples / POINTERS_PER_TUPLE);
  const plain = tuples * tuple;
  const bytes = size.deduplicated ? Math.min(plain, keys * tuple + tuples * HEAP_POINTER) : plain;
  const perPage = (size.pageBytes - PAGE_HEADER) * (size.fillfactor / 100);
  const leaves = Math.max(1, Math.ceil(bytes / perPage));
  return (1 + leaves + Math.ceil(leaves * INNER_PAGES)) * size.pageBytes;
}

/** What pgstatindex measured: bytes of the index, and how many of them a REINDEX would free. */
export interface MeasuredBloat {
  readonly bytes: number;
  readonly freeBytes: number;
}

interface Pgstatindex {
  index_size: number;
  leaf_pages: number;
  empty_pages: number;
  deleted_pages: number;
  /** Percent. NaN: it has no leaf pages. */
  avg_leaf_density: number;
}

/**
 * Measures an index with pgstatindex of the extension pgstattuple, which reads all of it. It must run in a transaction.
 * @returns the SQLSTATE if it failed, for example because of the statement_timeout
 */
export async function measureBloat(
  client: Client,
  { schema }: Extension,
  { oid, fillfactor, pageBytes }: IndexSize,
): Promise<MeasuredBloat | { readonly sqlstate: string }> {
  const answer = await tryQuery(client, async () => {
    const { rows } = await client.query<Pgstatindex>(
      `${MARK}
       select index_size::float8, leaf_pages::float8, empty_pages::float8, deleted_pages::float8, avg_leaf_density
         from ${quoteIdentifier(schema)}.pgstatindex($1::oid::regclass)`,
      [oid],
    );
    return rows[0];
  });
  if ('error' in answer || answer.value === undefined)
    return { sqlstate: ('error' in answer ? sqlstateOf(answer.error) : undefined) ?? 'XX000' };
  const found = answer.value;
  const density = Number.isNaN(found.avg_leaf_density) ? 0 : found.avg_leaf_density;
  const freeLeaves = found.leaf_pages * Math.max(0, 1 - density / fillfactor);
  return {
    bytes: found.index_size,
    freeBytes: (freeLeaves + found.empty_pages + found.deleted_pages) * pageBytes,
  };
}
