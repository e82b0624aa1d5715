import type { Log } from '../shared/logger.ts';
import type { Client } from './client.ts';
import { indexKey, type Named, type Table } from './identifiers.ts';
import { createLedgerTable } from './ledger-schema.ts';
import { OWN_TABLES } from './live-indexes.ts';
import { MARK } from './read-only.ts';
import { describeDatabaseError, isConnectionError, isMissingTable } from './sqlstate.ts';
import { STATISTICS_SINCE } from './statistics-age.ts';
import { OWN_SCHEMA } from './table-findings.ts';
import { withTrustedTable } from './trusted-table.ts';

/*
 * deploy_step.index_scans: a row for each index, with its number of scans at the end of a deploy, since when deploys have found this
 * number, and since when they have found the index. The server itself records neither when an index was created nor, before
 * version 16, when it was last scanned.
 */

/** The table. */
const INDEX_SCANS: Table = { schema: OWN_SCHEMA, table: 'index_scans' };

/**
 * Records how often each index was scanned. A number of another server, or from before a reset of the statistics, is replaced: they
 * have counted since another time.
 * @throws insufficient_privilege when the role may not create the table, or not write it
 * @throws Refused when a role that is not trusted controls the table; LockNotAvailable
 */
export async function recordScans(client: Client): Promise<void> {
  try {
    await replaceScans(client);
  } catch (error) {
    if (!isMissingTable(error)) throw error;
    await createLedgerTable(
      client,
      `index_scans (
         index_schema text not null,
         index_name text not null,
         index_oid oid not null,
         scans bigint not null,
         statistics_since timestamptz not null,
         first_seen_at timestamptz not null,
         unchanged_since timestamptz not null,
         primary key (index_schema, index_name)
       )`,
    );
    await replaceScans(client);
  }
}

async function replaceScans(client: Client): Promise<void> {
  // Two deploys of two environments would wait for each other's rows.
  await withTrustedTable(client, INDEX_SCANS, 'share row exclusive', async () => {
    await client.query(
      `delete from deploy_step.index_scans s
        where not exists (select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace
                           where c.oid = s.index_oid and c.relname = s.index_name and n.nspname = s.index_schema)`,
    );
    await client.query(
      `insert into deploy_step.index_scans as s
              (index_schema, index_name, index_oid, scans, statistics_since, first_seen_at, unchanged_since)
       select n.nspname, i.indexrelname, i.indexrelid, i.idx_scan, ${STATISTICS_SINCE}, clock_timestamp(), clock_timestamp()
         from pg_stat_all_indexes i
         join pg_class t on t.oid = i.relid
         join pg_namespace n on n.oid = t.relnamespace
        cross join pg_stat_bgwriter b
         join pg_stat_database d on d.datname = current_database()
        where ${OWN_TABLES}
           on conflict (index_schema, index_name) do update
          set scans = excluded.scans,
              statistics_since = excluded.statistics_since,
              unchanged_since = excluded.unchanged_since
        where (s.scans, s.statistics_since) is distinct from (excluded.scans, excluded.statistics_since)`,
    );
  });
}

/** What deploys have recorded about an index. */
export interface RecordedScans {
  /** Another index can have got its name meanwhile. */
  readonly oid: number;
  readonly scans: number;
  /** Since when the statistics had counted. */
  readonly statisticsSince: Date;
  readonly firstSeenAt: Date;
  /** Since when deploys have found this number of scans. */
  readonly unchangedSince: Date;
}

/**
 * Reads what deploys have recorded, by `indexKey`. Empty: no deploy has recorded anything. Call it outside of a transaction.
 * @throws insufficient_privilege, LockNotAvailable; Refused when a role that is not trusted controls the table
 */
export async function readRecordedScans(client: Client): Promise<Map<string, RecordedScans>> {
  try {
    return await withTrustedTable(client, INDEX_SCANS, 'access share', async () => {
      const { rows } = await client.query<Named & RecordedScans>(
        `${MARK}
         select index_schema as schema, index_name as name, index_oid::int8::float8 as oid, scans::float8 as scans,
                statistics_since as "statisticsSince", first_seen_at as "firstSeenAt", unchanged_since as "unchangedSince"
           from deploy_step.index_scans`,
      );
      return new Map(rows.map((row) => [indexKey(row), row]));
    });
  } catch (error) {
    if (isMissingTable(error)) return new Map();
    throw error;
  }
}

/**
 * Since when deploys have found no further scan of an index. Null: they have not recorded the number that it has now, or its
 * statistics were reset since.
 * @param statisticsSince since when the server counts
 */
export function unchangedSince(
  recorded: RecordedScans,
  scans: number | null,
  statisticsSince: Date,
): Date | null {
  const isSame = recorded.scans === scans && recorded.statisticsSince.getTime() === statisticsSince.getTime();
  return isSame ? recorded.unchangedSince : null;
}

/**
 * The same as `readRecordedScans` for drops, which need not succeed: a table that cannot be read, or that a role which is not trusted
 * controls, counts as empty.
 */
export async function readUsableScans(client: Client, log: Log): Promise<Map<string, RecordedScans>> {
  try {
    return await readRecordedScans(client);
  } catch (error) {
    if (isConnectionError(error)) throw error;
    log.warn(
      'What deploys have recorded about the scans of indexes cannot be read, so retired ones are kept.',
      {
        reason: describeDatabaseError(error),
      },
    );
    return new Map();
  }
}
