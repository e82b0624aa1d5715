import { knowsPending } from '../shared/migration-runner.ts';
import {
  cannotBeBuilt,
  countCannotBeBuilt,
  countOnMissingTables,
  countToBuild,
  wouldStopServices,
} from '../shared/planned-work.ts';
import { changedRevisions, grouped, plannedRevisions, reportId } from '../shared/report-names.ts';
import type { Report } from '../shared/report-schema.ts';
import { counted, headlineOf, listed, shortened } from '../shared/text.ts';
import { oneLine } from '../shared/visible-text.ts';
import { WOULD_BE_REFUSED } from './rehearsal.ts';

/** Names of migrations, indexes or services in a sentence. */
const MOST_NAMES = 5;
/** Characters of the reason of a failure. */
const LONGEST_REASON = 400;
/** CodePipeline accepts 1,000 characters for the text of an approval, and adds the pipeline's own words to it. */
const LONGEST_SUMMARY = 900;

/** The report in a few sentences on one line. */
export function summaryOf(report: Report): string {
  const sentences = report.mode === 'plan' ? planSentences(report) : deploySentences(report);
  return shortened(sentences.map(oneLine).join(' '), LONGEST_SUMMARY);
}

function planSentences(report: Report): string[] {
  if (report.status === 'failed') return [failureSentence(report)];
  return [
    ...(report.refusal == null
      ? []
      : [`A deploy would be refused now. ${sentence(report.refusal)} Otherwise:`]),
    plannedMigrations(report),
    ...plannedIndexes(report),
    ...plannedServices(report),
    ...warningsSentence(report),
  ];
}

function plannedMigrations({ migrations }: Report): string {
  const { runner, pending, pendingOnline = [], known = knowsPending(runner) } = migrations;
  if (runner === 'none') return 'The deploy applies no migrations.';
  if (!known)
    return `A deploy would run the migration ${runner === 'ecs-task' ? 'task' : 'function'}, which alone knows what is pending.`;
  if (pending.length === 0) return 'No migrations are pending.';
  const online =
    pendingOnline.length === 0 ? '' : `, ${grouped(pendingOnline.length)} of them while the services run`;
  return `A deploy would apply ${counted(pending.length, 'migration')} (${names(pending)})${online}.`;
}

function plannedIndexes(report: Report): string[] {
  const refused = cannotBeBuilt(report);
  const toBuild = report.indexes.filter(
    (index) => ['missing', 'building'].includes(index.status) && !refused.includes(index),
  );
  const count = countToBuild(report);
  const withoutTable = countOnMissingTables(report);
  return [
    count === 0
      ? 'No index is to be built.'
      : `It would build ${grouped(count)} ${count === 1 ? 'index' : 'indexes'} (${names(toBuild.map(reportId))}).`,
    ...(refused.length === 0
      ? []
      : [`${grouped(countCannotBeBuilt(report))} cannot be built (${names(refused.map(reportId))}).`]),
    ...(withoutTable === 0 ? [] : [`${grouped(withoutTable)} on tables that do not exist yet.`]),
  ];
}

function plannedServices(report: Report): string[] {
  if (report.services.length === 0) return [];
  const stops = wouldStopServices(report) ? 'stop and start' : 'not stop';
  return [`It would ${stops} ${subject(report.services)}.`, ...revisionsSentence(report)];
}

function deploySentences(report: Report): string[] {
  const { totals, migrations } = report;
  return [
    report.status === 'failed'
      ? failureSentence(report)
      : `The deploy succeeded in ${seconds(Date.parse(report.finishedAt) - Date.parse(report.startedAt))}.`,
    ...(migrations.applied.length === 0
      ? []
      : [`${counted(migrations.applied.length, 'migration')} applied (${names(migrations.applied)}).`]),
    `Indexes: ${grouped(totals.created)} created, ${grouped(totals.skipped)} already present, ${grouped(totals.failed)} failed, ${grouped(totals.remaining)} remaining.`,
    ...failedIndexes(report),
    ...servicesSentence(report),
    ...revisionsSentence(report),
    ...warningsSentence(report),
  ];
}

function failedIndexes({ indexes }: Report): string[] {
  const failed = indexes.filter(({ status }) => status === 'failed');
  return failed.length === 0 ? [] : [`Failed: ${names(failed.map(reportId))}.`];
}

function servicesSentence({ services, hold, downtimeMs }: Report): string[] {
  if (services.length === 0) return [];
  const down = services.filter(
    ({ stoppedAt, startedAt, status }) =>
      status === 'failed' || status === 'stopped' || (stoppedAt !== null && startedAt === null),
  );
  if (hold !== undefined)
    return [`Held for the deployment of the application, until ${hold.until} at most: ${subject(down)}.`];
  if (down.length > 0) return [`STOPPED: ${subject(down)}.`];
  const stopped = services.filter(({ stoppedAt }) => stoppedAt !== null);
  if (stopped.length === 0) return ['No service was stopped.'];
  return [`Stopped and started in ${seconds(downtimeMs ?? 0)}: ${subject(stopped)}.`];
}

function revisionsSentence({ mode, services }: Report): string[] {
  const isPlan = mode === 'plan';
  const revisions = isPlan ? plannedRevisions(services) : changedRevisions(services);
  return revisions.length === 0 ? [] : [`Revisions${isPlan ? ' after that' : ''}: ${names(revisions)}.`];
}

/** A reason that ends with a full stop. */
function sentence(reason: string): string {
  return `${shortened(reason, LONGEST_REASON).replace(/\.$/, '')}.`;
}

/** `the service api`, `the services api, worker`. */
function subject(services: Report['services']): string {
  return `the ${services.length === 1 ? 'service' : 'services'} ${names(services.map(({ name }) => name))}`;
}

function failureSentence({ mode, failure }: Report): string {
  return `The ${mode === 'plan' ? 'plan' : 'deploy'} failed: ${sentence(headlineOf(failure ?? 'unknown error'))}`;
}

function warningsSentence({ warnings: all, refusal }: Report): string[] {
  // The summary of a plan begins with them.
  const warnings = refusal == null ? all : all.filter((warning) => !warning.startsWith(WOULD_BE_REFUSED));
  const [first] = warnings;
  if (first === undefined) return [];
  const head = warnings.length === 1 ? 'Warning' : `${warnings.length} warnings, the first`;
  return [`${head}: ${shortened(headlineOf(first), LONGEST_REASON)}`];
}

function names(list: readonly string[]): string {
  return listed(list, MOST_NAMES);
}

function seconds(ms: number): string {
  const whole = Math.round(ms / 1_000);
  return whole < 120 ? `${whole} s` : `${Math.floor(whole / 60)} min ${whole % 60} s`;
}
