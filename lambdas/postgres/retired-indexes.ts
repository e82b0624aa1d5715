import type { CompiledIndex } from '../shared/registry.ts';
import { counted } from '../shared/text.ts';
import type { Client } from './client.ts';
import { indexKey, type Named, quotedTable, quoteIdentifier, type Table } from './identifiers.ts';
import type { IndexProperties } from './index-properties.ts';
import { type RecordedScans, unchangedSince } from './recorded-scans.ts';
import { readStatisticsAge, type StatisticsAge } from './statistics-age.ts';
import { withLockTimeout } from './table-lock.ts';
import { LOCK_TIMEOUT_SECONDS } from './unlocked-tables.ts';

/*
 * Whether a retired index can be dropped. Deploys record the number of scans of each index, so the time since this number is
 * unchanged is known, also before version 16, which records the last scan itself.
 */

/** How queries use an existing index, as far as its server knows. */
export interface IndexUse extends Named, Table {
  readonly oid: number;
  readonly unique: boolean;
  /** Since the statistics began. Null: the server has none, because it is an index of a partitioned table. */
  readonly scans: number | null;
  /** From version 16 on. Null: it is not known, or there was none. */
  readonly lastScan: Date | null;
}

/** Reads the use of indexes, by `indexKey`. Names that no index has are omitted. It locks none of them. */
export async function readIndexUse(
  client: Client,
  indexes: readonly Named[],
): Promise<{ uses: Map<string, IndexUse>; statistics: StatisticsAge }> {
  const { rows } = await client.query<IndexUse>(
    `select n.nspname as schema, c.relname as name, t.relname as "table",
            i.indexrelid::int8::float8 as oid,
            i.indisunique as "unique",
            s.idx_scan::float8 as scans,
            (to_jsonb(s) ->> 'last_idx_scan')::timestamptz as "lastScan"
       from unnest($1::text[], $2::text[]) as wanted (schema, name)
       join pg_namespace n on n.nspname = wanted.schema
       join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
       join pg_index i on i.indexrelid = c.oid
       join pg_class t on t.oid = i.indrelid
       left join pg_stat_all_indexes s on s.indexrelid = i.indexrelid and c.relkind = 'i'`,
    [indexes.map((index) => index.schema), indexes.map((index) => index.name)],
  );
  return {
    uses: new Map(rows.map((use) => [indexKey(use), use])),
    statistics: await readStatisticsAge(client),
  };
}

const DAY_MS = 24 * 60 * 60 * 1000;

interface Evidence {
  readonly use: IndexUse;
  readonly statistics: StatisticsAge;
  /** Undefined: no deploy has recorded its scans. */
  readonly recorded: RecordedScans | undefined;
  /** How long no query must have scanned it, in days. */
  readonly days: number;
}

/**
 * Why a retired index must not be dropped, because queries may still use it: a sentence. Null: the grace period has passed without
 * a scan, or the entry forces the drop.
 */
export function whyStillUsed(
  { since, force }: NonNullable<CompiledIndex['retired']>,
  evidence: Evidence,
): string | null {
  const { use, statistics } = evidence;
  if (dayOf(statistics.now) < since) return `It is retired from ${since} on.`;
  if (force) return null;
  const reason = whyNotProven(evidence);
  return reason === null
    ? null
    : `${reason} To drop it all the same, add force: true to "retired"${use.unique ? ', after you have made sure that no INSERT … ON CONFLICT needs it' : ''}.`;
}

function whyNotProven({ use, statistics, recorded, days }: Evidence): string | null {
  const { now, since, counting, standbys } = statistics;
  if (use.unique) return 'It is unique: it refuses duplicate keys, which the server does not count as scans.';
  if (standbys === null)
    return 'Standbys may use it, and this role may not see whether there are any: GRANT pg_read_all_stats.';
  if (standbys > 0) return `The server has ${counted(standbys, 'standby')}, whose scans it does not know.`;
  if (!counting) return 'track_counts is off, so the server does not count scans.';
  if (days === 0) return null;
  const start = now.getTime() - days * DAY_MS;
  const grace = `It is dropped when no query has scanned it for ${counted(days, 'day')} (builds.retiredAfterDays).`;
  if (use.lastScan !== null)
    return use.lastScan.getTime() <= start
      ? null
      : `A query scanned it at ${use.lastScan.toISOString()}. ${grace}`;
  if (recorded?.oid !== use.oid) return `No deploy has recorded its scans before. ${grace}`;
  if (recorded.statisticsSince.getTime() !== since.getTime())
    return `The statistics were reset at ${since.toISOString()}. ${grace}`;
  const unchanged = unchangedSince(recorded, use.scans, since);
  if (unchanged === null) {
    return `Queries have scanned it ${counted((use.scans ?? 0) - recorded.scans, 'time')} since a deploy of ${dayOf(recorded.unchangedSince)}. ${grace}`;
  }
  return unchanged.getTime() <= start
    ? null
    : `Deploys have seen no scan since ${unchanged.toISOString()}. ${grace}`;
}

/** YYYY-MM-DD, in UTC. */
function dayOf(time: Date): string {
  return time.toISOString().slice(0, 10);
}

/** Why a retired index cannot be dropped, because something else needs it: a sentence. Null: nothing does. */
export function whyNeeded(index: IndexProperties): string | null {
  const { partitioned, attached, replicaIdentity, clustered, obstacles } = index;
  if (partitioned) {
    return (
      'It is the index of a partitioned table, which PostgreSQL does not drop concurrently. Drop it yourself when the load is low, ' +
      `because that locks the table and its partitions: DROP INDEX ${quotedTable({ schema: index.schema, table: index.name })};`
    );
  }
  if (attached) return 'It belongs to the index of a partitioned table. Retire that index.';
  if (replicaIdentity)
    return `It is the replica identity of its table. Choose another one first: ALTER TABLE ${quotedTable(index)} REPLICA IDENTITY DEFAULT;`;
  if (clustered)
    return `Its table is clustered on it. If you do not need that any more: ALTER TABLE ${quotedTable(index)} SET WITHOUT CLUSTER;`;
  const [obstacle] = obstacles;
  return obstacle === undefined ? null : `It ${obstacle.reason}: ${obstacle.fix}.`;
}

/**
 * Reads the statement that creates an index again, concurrently. Undefined: no index of the table has the name.
 * @param name that the statement gives the index
 * @throws lock_not_available when another session has locked its table exclusively
 */
export async function readRestoreStatement(
  client: Client,
  index: Named & Table,
  name: string,
): Promise<{ oid: string; statement: string } | undefined> {
  const { rows } = await withLockTimeout(client, LOCK_TIMEOUT_SECONDS, () =>
    client.query<{ oid: string; name: string; statement: string | null; tablespace: string | null }>(
      `select c.oid::text as oid, quote_ident(c.relname) as name, pg_get_indexdef(c.oid) as statement,
              (select spcname::text from pg_tablespace where oid = c.reltablespace) as tablespace
         from pg_class c
         join pg_namespace n on n.oid = c.relnamespace
         join pg_index i on i.indexrelid = c.oid
         join pg_class t on t.oid = i.indrelid
        where n.nspname = $1 and c.relname = $2 and t.relname = $3`,
      [index.schema, index.name, index.table],
    ),
  );
  const [row] = rows;
  if (row === undefined || row.statement === null) return undefined;
  const create = /^CREATE (?:UNIQUE )?INDEX /.exec(row.statement)?.[0] ?? '';
  const rest = row.statement.slice(create.length + row.name.length);
  // pg_get_indexdef leaves the tablespace out.
  const before =
    row.tablespace === null ? '' : `SET default_tablespace = ${quoteIdentifier(row.tablespace)}; `;
  return { oid: row.oid, statement: `${before}${create}CONCURRENTLY ${quoteIdentifier(name)}${rest};` };
}
