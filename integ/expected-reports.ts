/*
 * What the test on AWS asserts of the two reports, by path. test/integ runs the same migrations and indexes on this machine
 * and evaluates the same assertions.
 */

/** The first deploy stops the service, applies both migrations and builds both indexes. */
export const FIRST_REPORT = {
  'services.0.status': 'started',
  'migrations.applied.1': '0002_order_rows',
  'totals.created': 2,
} as const;

/** The second deploy has nothing to do. */
export const SECOND_REPORT = {
  'services.0.status': 'unchanged',
  'migrations.outcome': 'not-run',
  'totals.skipped': 2,
} as const;
