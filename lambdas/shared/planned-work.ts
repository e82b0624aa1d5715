import { knowsPending } from './migration-runner.ts';
import { countOf } from './report-names.ts';
import type { IndexReport, Report } from './report-schema.ts';

/** The indexes of a plan that cannot be built. The detail of a missing index says why. */
export function cannotBeBuilt(report: Report): IndexReport[] {
  return report.indexes.filter((index) => index.status === 'missing' && index.detail !== null);
}

/** Number of indexes of a plan that cannot be built. */
export function countCannotBeBuilt(report: Report): number {
  return cannotBeBuilt(report).reduce((sum, index) => sum + countOf(index, 'remaining'), 0);
}

/** The indexes of a plan whose tables do not exist. */
export function onMissingTables(report: Report): IndexReport[] {
  return report.indexes.filter((index) => index.status === 'table-missing');
}

/** Number of indexes of a plan whose tables do not exist. */
export function countOnMissingTables(report: Report): number {
  return onMissingTables(report).reduce((sum, index) => sum + countOf(index, 'remaining'), 0);
}

/** Number of indexes that a deploy would build. */
export function countToBuild(report: Report): number {
  return report.totals.remaining - countCannotBeBuilt(report) - countOnMissingTables(report);
}

/** Whether a deploy would stop the services. */
export function wouldStopServices(report: Report): boolean {
  // Absent in reports of earlier versions, and null in a plan without the database.
  if (report.decision != null) return report.decision === 'deploy';
  const { runner, pending, pendingOnline = [], known = knowsPending(runner) } = report.migrations;
  const { window = 'always' } = report;
  const offline = pending.filter((file) => !pendingOnline.includes(file));
  const stops = window === 'always' ? countToBuild(report) + pending.length > 0 : offline.length > 0;
  return window !== 'never' && (stops || !known);
}
