import { type Report, reportSchema } from '../../../lambdas/shared/report-schema.ts';
import type { CommandRun, EndedRun } from '../command-run.ts';
import type { Query } from '../target.ts';
import type { ChaosEntry, Expected } from '../world/entries.ts';
import { type Indexes, idOf } from './indexes.ts';
import { type Violation, violationIf } from './violation.ts';

/** What is known about a run when it has ended by itself. */
export interface RunFacts {
  readonly run: Pick<CommandRun, 'number' | 'plan' | 'signalled' | 'killedFunctions'>;
  readonly ended: EndedRun;
  readonly entries: readonly ChaosEntry[];
  /** The indexes right after the run. */
  readonly indexes: Indexes;
  /** Indexes that the chaos has changed, so that the run could see them in another state. */
  readonly unsteady: ReadonlySet<string>;
}

const VALID_STATUSES = ['present', 'built', 'repaired'];

/** The report of a run. Undefined: it wrote none, or the text is not a report. */
export function reportOf({ reportFile }: Pick<EndedRun, 'reportFile'>): Report | undefined {
  if (reportFile === null) return undefined;
  try {
    return reportSchema.safeParse(JSON.parse(reportFile)).data;
  } catch {
    return undefined;
  }
}

/** The exit code, the output and the report of a run agree with each other and with the catalog. */
export function checkRun(facts: RunFacts): Violation[] {
  const { run, ended } = facts;
  const about = (what: string) => `${what} (run ${run.number})`;
  if (ended.hung) return violationIf(about('A run ends by itself.'), [lastLines(ended)]);
  if (run.signalled === 'SIGKILL' && ended.exitCode === null) return [];
  if (ended.exitCode !== 0 && ended.exitCode !== 1) {
    return violationIf(about('A run ends with exit code 0 or 1.'), [ended.exitCode, lastLines(ended)]);
  }
  const report = reportOf(ended);
  if (report === undefined) {
    // The report function is retried, but not for ever. A signal can end a run before its report.
    const excused = ended.reportFile === null && ended.exitCode === 1 && mayHaveNoReport(run);
    return violationIf(
      about('A run writes its report.'),
      excused ? [] : [ended.reportFile, lastLines(ended)],
    );
  }
  return [
    ...violationIf(
      about('Standard output has the same report as the file.'),
      ended.stdout === ended.reportFile ? [] : [ended.stdout.slice(0, 500)],
    ),
    ...violationIf(about('The exit code agrees with the report.'), exitCodeErrors(facts, report)),
    ...violationIf(about('No deploy succeeds while a critical index cannot be built.'), untrueSuccess(facts)),
    ...violationIf(about('The parts of the report agree with each other.'), innerErrors(report)),
    ...violationIf(about('The report agrees with the catalog.'), untrueStatuses(facts, report)),
  ];
}

function mayHaveNoReport({ signalled, killedFunctions }: RunFacts['run']): boolean {
  return signalled !== null || killedFunctions.has('report');
}

function exitCodeErrors({ run, ended }: RunFacts, { status }: Report): unknown[] {
  const fits = ended.exitCode === (status === 'succeeded' ? 0 : 1);
  // The signal can arrive after the report was written, and before the command ends.
  const isInterrupted = run.signalled !== null && ended.exitCode === 1;
  return fits || isInterrupted ? [] : [{ exitCode: ended.exitCode, status, signalled: run.signalled }];
}

/** Also when the database was down as the report was written, so that the report names no index. */
function untrueSuccess({ run, ended, entries }: RunFacts): unknown[] {
  if (ended.exitCode !== 0 || (run.plan.mode !== 'deploy' && run.plan.mode !== 'indexes')) return [];
  return entries.filter(({ critical, expected }) => critical && expected.kind === 'failed').map(idOf);
}

function innerErrors(report: Report): unknown[] {
  const errors: unknown[] = [];
  const { status, failure, indexes, totals } = report;
  if ((status === 'failed') !== (failure !== null && failure !== '')) errors.push({ status, failure });
  const critical = indexes.filter((index) => index.critical && index.status === 'failed');
  if (status === 'succeeded' && critical.length > 0) errors.push({ status, critical });
  for (const index of indexes) {
    if ((index.status === 'failed') !== (index.error !== null)) errors.push(index);
  }
  const count = (...statuses: string[]) => indexes.filter((index) => statuses.includes(index.status)).length;
  const counted = {
    created: count('built', 'repaired'),
    skipped: count('present', 'equivalent', 'drifted'),
    failed: count('failed'),
    remaining: count('building', 'missing'),
  };
  for (const key of ['created', 'skipped', 'failed', 'remaining'] as const) {
    if (report.indexesOmitted === 0 && counted[key] !== totals[key]) errors.push({ totals, counted });
  }
  if (Date.parse(report.finishedAt) < Date.parse(report.startedAt))
    errors.push('finishedAt is before startedAt');
  return errors;
}

function untrueStatuses({ entries, indexes, unsteady }: RunFacts, report: Report): unknown[] {
  const names = entries.map(idOf).toSorted();
  const reported = report.indexes.map(idOf).toSorted();
  const errors: unknown[] = [];
  // A refused deploy has not examined the indexes, and the database can be down.
  if (reported.length > 0 && reported.join() !== names.join()) errors.push({ reported });
  for (const index of report.indexes) {
    const id = idOf(index);
    if (unsteady.has(id)) continue;
    const found = indexes.get(id);
    if (VALID_STATUSES.includes(index.status) && found?.valid !== true)
      errors.push({ ...index, found: found ?? null });
    if (index.status === 'equivalent' && indexes.get(index.detail ?? '')?.valid !== true) errors.push(index);
    if (index.status === 'missing' && found?.valid === true) errors.push({ ...index, found });
  }
  return errors;
}

/** The warning that a run prints when it lost the connection that locks the database, so that another run could begin. */
const LOST_LOCK = /Warning: .*(locks? the database against other runs)/;

/** Of several runs at the same time only one works. The others are refused before they stop or change anything. */
export function checkOnlyOne(runs: readonly Pick<RunFacts, 'run' | 'ended'>[]): Violation[] {
  const worked = runs.flatMap(({ run, ended }) => {
    const report = reportOf(ended);
    const isExcused = report === undefined || LOST_LOCK.test(ended.stderr);
    if (isExcused || report.failure?.startsWith('Refused before anything was stopped or changed.')) return [];
    return [{ run: run.number, from: report.startedAt, to: report.finishedAt }];
  });
  const together = worked.filter((one) =>
    worked.some((other) => other !== one && other.from <= one.to && one.from <= other.to),
  );
  return violationIf('Only one run at a time deploys to a database.', together);
}

/** The report of a run that nobody disturbed says about each index exactly what is expected. */
export function checkFinalReport({ run, ended, entries }: RunFacts): Violation[] {
  const report = reportOf(ended);
  if (report === undefined) return violationIf('The undisturbed run writes a report.', [lastLines(ended)]);
  const byId = new Map(report.indexes.map((index) => [idOf(index), index]));
  const wrong = entries.flatMap((entry) => {
    const index = byId.get(idOf(entry));
    const isRight = index !== undefined && matches(entry.expected, index);
    return isRight ? [] : [{ expected: entry.expected, reported: index ?? null }];
  });
  const mustFail = entries.some(({ critical, expected }) => critical && expected.kind === 'failed');
  return [
    ...violationIf('The undisturbed run reports each index as it is.', wrong),
    ...violationIf(
      'The undisturbed run fails exactly when a critical index cannot be built.',
      ended.exitCode === (mustFail ? 1 : 0)
        ? []
        : [{ run: run.number, exitCode: ended.exitCode, failure: report.failure }],
    ),
    ...violationIf(
      'The undisturbed run applies the migrations that are pending.',
      report.migrations.outcome === 'failed' || report.migrations.pending.length > 0
        ? [report.migrations]
        : [],
    ),
  ];
}

function matches(expected: Expected, index: Report['indexes'][number]): boolean {
  switch (expected.kind) {
    case 'valid':
      return VALID_STATUSES.includes(index.status);
    case 'equivalent':
      return index.status === 'equivalent' && index.detail === expected.to;
    case 'drifted':
      return index.status === 'drifted';
    case 'failed':
      return index.status === 'failed' && index.error?.sqlstate === expected.sqlstate;
  }
}

/** The ledger has the attempts that a report claims. */
export async function checkLedger(
  query: Query,
  { run, ended }: Pick<RunFacts, 'run' | 'ended'>,
): Promise<Violation[]> {
  const report = reportOf(ended);
  if (report === undefined) return [];
  const wrong: unknown[] = [];
  for (const index of report.indexes) {
    if (!['built', 'repaired', 'failed'].includes(index.status)) continue;
    const rows = await query(
      `select from deploy_step.index_builds
        where deploy = $1 and index_schema = $2 and index_name = $3 and status = $4`,
      [report.deploy, index.schema, index.name, index.status],
    );
    if (rows.length === 0) wrong.push(index);
  }
  return violationIf(`The ledger has each build that the report shows (run ${run.number}).`, wrong);
}

function lastLines({ stdout, stderr }: EndedRun): string {
  return `${stdout.slice(0, 2000)}\n${stderr.split('\n').slice(-25).join('\n')}`;
}
