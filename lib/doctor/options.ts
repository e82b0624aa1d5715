/** The limits from which on something is a finding. */
export interface DoctorLimits {
  /** Days for which statistics must have counted before an index without scans counts as unused. 0: any time. */
  readonly windowDays: number;
  /** Percent of an index that a REINDEX would free. */
  readonly bloatPercent: number;
  /** Least size of a bloated index, and of what a REINDEX would free, in bytes. */
  readonly bloatBytes: number;
  /** Rows of a table from which on sequential scans count. */
  readonly leastRows: number;
  /** How often the rows of such a table were read by sequential scans. */
  readonly leastScans: number;
  /** Mean of a slow statement, in milliseconds. */
  readonly slowMs: number;
  /** Seconds for which a statement or a transaction has been running. */
  readonly sessionSeconds: number;
}

export const DEFAULT_LIMITS: DoctorLimits = {
  windowDays: 30,
  bloatPercent: 50,
  bloatBytes: 1024 * 1024,
  leastRows: 10_000,
  leastScans: 30,
  slowMs: 100,
  sessionSeconds: 5,
};
