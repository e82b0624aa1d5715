import { describe, expect, test } from 'vitest';
import type { RecordedScans } from '../../lambdas/postgres/recorded-scans.ts';
import { type IndexUse, whyStillUsed } from '../../lambdas/postgres/retired-indexes.ts';
import type { StatisticsAge } from '../../lambdas/postgres/statistics-age.ts';

const day = (text: string) => new Date(`${text}T12:00:00Z`);

const ENTRY = { since: '2026-11-01', reason: 'of a test', force: false };
const USE: IndexUse = {
  ...{ schema: 'public', table: 't', name: 't_a', oid: 17, unique: false, scans: 5, lastScan: null },
};
const STATISTICS: StatisticsAge = {
  ...{ since: day('2026-01-01'), now: day('2026-11-22'), counting: true, standby: false, standbys: 0 },
};
const RECORDED: RecordedScans = {
  ...{ oid: 17, scans: 5, statisticsSince: day('2026-01-01'), firstSeenAt: day('2026-02-01') },
  unchangedSince: day('2026-11-08'),
};

interface Changes {
  entry?: Partial<typeof ENTRY>;
  use?: Partial<IndexUse>;
  statistics?: Partial<StatisticsAge>;
  recorded?: Partial<RecordedScans> | null;
  days?: number;
}

const why = ({ entry, use, statistics, recorded, days = 14 }: Changes) =>
  whyStillUsed(
    { ...ENTRY, ...entry },
    {
      use: { ...USE, ...use },
      statistics: { ...STATISTICS, ...statistics },
      recorded: recorded === null ? undefined : { ...RECORDED, ...recorded },
      days,
    },
  );

describe('a retired index', () => {
  test.each<[string, Changes]>([
    ['whose scans deploys have found unchanged for the grace period', {}],
    [
      'whose last scan is as old, whatever deploys have recorded',
      { use: { lastScan: day('2026-11-08') }, recorded: null },
    ],
    ['without a grace period', { days: 0, recorded: null }],
    ['from its date on', { entry: { since: '2026-11-22' } }],
    [
      'that is forced, with a standby',
      { entry: { force: true }, statistics: { standbys: 1 }, recorded: null },
    ],
    ['that is forced, and unique', { entry: { force: true }, use: { unique: true }, recorded: null }],
  ])('is dropped: one %s', (_which, changes) => {
    expect(why(changes)).toBeNull();
  });

  test.each<[string, Changes, RegExp]>([
    [
      'before its date, also if it is forced',
      { entry: { since: '2026-11-23', force: true } },
      /^It is retired from 2026-11-23 on\.$/,
    ],
    ['that is unique', { use: { unique: true }, days: 0 }, /^It is unique: .* ON CONFLICT needs it\.$/],
    [
      'with a standby',
      { statistics: { standbys: 1 }, days: 0 },
      /^The server has 1 standby, whose scans it does not know\. .*force: true/,
    ],
    [
      'with standbys that the role may not see',
      { statistics: { standbys: null } },
      /GRANT pg_read_all_stats/,
    ],
    ['of a server that does not count', { statistics: { counting: false } }, /^track_counts is off/],
    [
      'whose last scan is younger',
      { use: { lastScan: day('2026-11-09') } },
      /^A query scanned it at 2026-11-09T12:00:00\.000Z\. It is dropped when no query has scanned it for 14 days/,
    ],
    ['that no deploy has recorded', { recorded: null }, /^No deploy has recorded its scans before\./],
    [
      'that is another one with the same name',
      { recorded: { oid: 18 } },
      /^No deploy has recorded its scans before\./,
    ],
    [
      'whose statistics were reset',
      { recorded: { statisticsSince: day('2025-01-01') } },
      /^The statistics were reset at 2026-01-01T/,
    ],
    [
      'that was scanned since the last deploy',
      { recorded: { scans: 3 } },
      /^Queries have scanned it 2 times since a deploy of 2026-11-08\./,
    ],
    [
      'whose scans are unchanged for a shorter time',
      { recorded: { unchangedSince: day('2026-11-09') } },
      /^Deploys have seen no scan since 2026-11-09T/,
    ],
  ])('is kept: one %s', (_which, changes, reason) => {
    expect(why(changes)).toMatch(reason);
  });
});
