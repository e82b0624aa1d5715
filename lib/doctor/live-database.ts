import type { IndexSize, MeasuredBloat } from '../../lambdas/postgres/index-bloat.ts';
import type { IndexHistory } from '../../lambdas/postgres/index-history.ts';
import type { IndexTexts, LiveIndex, Worker } from '../../lambdas/postgres/live-indexes.ts';
import type { LivePreparedTransaction, LiveSession, LiveSlot } from '../../lambdas/postgres/live-sessions.ts';
import type { LiveForeignKey, LiveTable } from '../../lambdas/postgres/live-tables.ts';
import type { StatementStatistics } from '../../lambdas/postgres/statement-statistics.ts';
import type { Scans, StatisticsAge } from '../../lambdas/postgres/statistics-age.ts';
import type { Unknown } from './finding.ts';
import type { RegistryState } from './registry-state.ts';

/** The scans that a replica has counted. */
export interface Replica {
  /** As it was given, without a password. */
  readonly name: string;
  readonly statistics: StatisticsAge;
  /** By `indexKey`. */
  readonly scans: ReadonlyMap<string, Scans>;
}

/** Everything that `doctor` has read. */
export interface LiveDatabase {
  readonly name: string;
  /** The version of the server, such as 18.1. */
  readonly version: string;
  /** The first schema of the search path. Null: it is unknown. */
  readonly firstSchema: string | null;
  readonly statistics: StatisticsAge;
  readonly replicas: readonly Replica[];
  readonly indexes: readonly LiveIndex[];
  readonly texts: ReadonlyMap<number, IndexTexts>;
  readonly workers: ReadonlyMap<number, Worker>;
  readonly tables: readonly LiveTable[];
  readonly foreignKeys: readonly LiveForeignKey[];
  readonly history: IndexHistory;
  readonly sizes: readonly IndexSize[];
  /** Of the indexes that pgstattuple has measured, by oid. */
  readonly measured: ReadonlyMap<number, MeasuredBloat>;
  readonly sessions: readonly LiveSession[];
  readonly slots: readonly LiveSlot[];
  readonly prepared: readonly LivePreparedTransaction[];
  readonly slowStatements: readonly StatementStatistics[];
  /** Null: no registry was given. */
  readonly registry: RegistryState | null;
  /** What could not be read. */
  readonly unknown: readonly Unknown[];
}
