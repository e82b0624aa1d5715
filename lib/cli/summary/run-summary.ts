import { identifierList } from '../../../lambdas/postgres/identifiers.ts';
import { humanDuration } from '../../../lambdas/shared/human-units.ts';
import { knowsPending } from '../../../lambdas/shared/migration-runner.ts';
import {
  countCannotBeBuilt,
  countOnMissingTables,
  countToBuild,
  wouldStopServices,
} from '../../../lambdas/shared/planned-work.ts';
import { changedRevisions, plannedRevisions } from '../../../lambdas/shared/report-names.ts';
import type { Report } from '../../../lambdas/shared/report-schema.ts';
import { bodyOf, counted, headlineOf, listed } from '../../../lambdas/shared/text.ts';
import { paint, plain, type Style } from '../terminal/styled-text.ts';
import { builtSection, failedSection, planSection } from './index-summary.ts';
import { queriesSection } from './query-summary.ts';

const MOST_WARNINGS = 20;
/** Names of migrations or services in a line. */
const MOST_NAMES = 20;

interface SummaryOptions {
  readonly colour: boolean;
  /** The command that starts services which were left stopped. Null: none, they stop with the run. */
  readonly startCommand: string | null;
}

/** The summary of a report: totals, failed indexes, built indexes, queries, migrations, services, warnings, outcome. */
export function runSummary(report: Report, options: SummaryOptions): string {
  const sections = [
    [...totalsSection(report), ...searchPathLine(report)],
    failedSection(report, options.colour),
    report.mode === 'plan' ? planSection(report, options.colour) : builtSection(report),
    queriesSection(report, options.colour),
    migrationsSection(report),
    [...servicesSection(report, options), ...revisionLines(report), ...holdLines(report)],
    warningsSection(report, options),
    [outcomeLine(report, options)],
  ];
  return sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join('\n'))
    .join('\n\n');
}

function totalsSection(report: Report): string[] {
  const { created, skipped, failed, remaining } = report.totals;
  if (created + skipped + failed + remaining === 0) return [];
  const refused = countCannotBeBuilt(report);
  const withoutTable = countOnMissingTables(report);
  const text =
    report.mode === 'plan'
      ? `Indexes: ${skipped} already present, ${countToBuild(report)} to build${refused === 0 ? '' : `, ${refused} that cannot be built`}${withoutTable === 0 ? '' : `, ${withoutTable} on tables that do not exist`}`
      : `Indexes: ${created} created, ${skipped} already present, ${failed} failed, ${remaining} remaining`;
  const omitted = report.indexesOmitted;
  return [
    omitted === 0
      ? text
      : `${text} (the report omits the details of ${counted(omitted, 'index')} to limit its size)`,
  ];
}

/** PostgreSQL's default. Every database has it that sets no other one. */
const DEFAULT_PATH = '"$user", public';

/** The search path of a plan, and of a deploy if it is not the default. */
function searchPathLine({ mode, searchPath }: Report): string[] {
  if (searchPath === null) return [];
  const { schemas, source } = searchPath;
  const path = identifierList(schemas);
  if (mode !== 'plan' && source === 'role' && path === DEFAULT_PATH) return [];
  return [`Search path: ${plain(path === '' ? '(empty)' : path)} (of the ${source})`];
}

/** Without the lists of the warnings, which repeat the failed indexes above. */
function warningsSection({ warnings, mode }: Report, { colour }: SummaryOptions): string[] {
  const rest = warnings.length - MOST_WARNINGS;
  return [
    ...warnings.slice(0, MOST_WARNINGS).map((warning) => `Warning: ${plain(headlineOf(warning))}`),
    // A plan is read, and a deploy is watched.
    ...(mode === 'plan' ? warnings.flatMap((warning) => linesBelow(warning)) : []),
    ...(rest > 0 ? [`And ${counted(rest, 'more warning')}, which the report contains.`] : []),
  ].map((text) => paint(text, 'yellow', colour));
}

/** SQL that a warning contains, so that it can be copied. */
function linesBelow(warning: string): string[] {
  const body = bodyOf(warning);
  // `paint` shows each of them as one line.
  return body === null ? [] : ['', ...body.split('\n')];
}

function migrationsSection(report: Report): string[] {
  const {
    runner,
    applied,
    pending,
    appliedOnline = [],
    pendingOnline = [],
    known = false,
  } = report.migrations;
  const plan = report.mode === 'plan';
  if (!knowsPending(runner) && !(plan && known)) return applicationMigrations(report);
  return [
    ...(applied.length === 0 ? [] : [`Migrations applied: ${namesOf(applied)}`]),
    ...(pending.length === 0
      ? []
      : [`Migrations ${plan ? 'that a deploy would apply' : 'pending'}: ${namesOf(pending)}`]),
    ...(appliedOnline.length === 0 ? [] : [`Applied while the services ran: ${namesOf(appliedOnline)}`]),
    ...(plan && pendingOnline.length > 0
      ? [`Of these, while the services run: ${namesOf(pendingOnline)}`]
      : []),
    ...(plan && pending.length === 0 ? ['No migrations are pending.'] : []),
  ];
}

/** Migrations that a task or a function of the application runs: only it knows which ones are pending. */
function applicationMigrations({ mode, migrations }: Report): string[] {
  const { runner, outcome, applied, failure } = migrations;
  const name = runner === 'ecs-task' ? 'migration task' : 'migration function';
  if (mode === 'plan') {
    return [`Migrations: a deploy would run the ${name}; only the ${name} knows what is pending.`];
  }
  if (outcome === 'not-run') return [];
  const names = applied.length === 0 ? '' : `, applied: ${namesOf(applied)}`;
  const log = failure?.log == null ? '' : `; its log: ${plain(failure.log)}`;
  return [`Migrations: the ${name} ${outcome}${names}${log}`];
}

function servicesSection(report: Report, { colour, startCommand }: SummaryOptions): string[] {
  const { services, downtimeMs, mode } = report;
  if (services.length === 0) return [];
  const names = (list: typeof services) => namesOf(list.map((service) => service.name));
  if (mode === 'plan') {
    const stops = wouldStopServices(report);
    return [
      `A deploy would ${stops ? 'stop and start' : 'not stop'} the services: ${names(services)}`,
      ...services.flatMap((service) => plannedService(service, colour)),
    ];
  }
  if (report.hold !== undefined) {
    const held = names(services.filter(({ status }) => status === 'stopped'));
    // The execution that waits for the limit ends with the command.
    const next =
      startCommand === null
        ? 'they stop with this run'
        : `on this machine nothing starts them by itself: end the hold with: ${startCommand}`;
    return [paint(`Services HELD for your own deployment: ${held}; ${next}`, ['yellow', 'bold'], colour)];
  }
  const down = services.filter(
    ({ stoppedAt, startedAt, status }) => status === 'failed' || (stoppedAt !== null && startedAt === null),
  );
  if (down.length > 0) {
    const next = startCommand === null ? 'they stop with this run' : `start them with: ${startCommand}`;
    return [paint(`Services LEFT STOPPED: ${names(down)}; ${next}`, ['red', 'bold'], colour)];
  }
  const stopped = services.filter((service) => service.stoppedAt !== null);
  if (stopped.length === 0) return [`Services: not stopped (${names(services)})`];
  return [`Services: ${names(stopped)}; they were down for ${humanDuration(downtimeMs ?? 0)}`];
}

/** A line for a service that could not be stopped now, or that a deploy has left stopped. */
function plannedService(
  { name, usable, reason, leftStopped }: Report['services'][number],
  colour: boolean,
): string[] {
  return [
    ...(usable === false ? [`${paint('✖', 'red', colour)} ${plain(`${name}: ${reason ?? ''}`)}`] : []),
    ...(leftStopped === true ? [`  ${plain(name)}: a deploy has left it stopped`] : []),
  ];
}

function revisionLines({ mode, services }: Report): string[] {
  const isPlan = mode === 'plan';
  const revisions = isPlan ? plannedRevisions(services) : changedRevisions(services);
  return revisions.length === 0 ? [] : [`Revisions${isPlan ? ' after a deploy' : ''}: ${namesOf(revisions)}`];
}

function holdLines({ endedHold }: Report): string[] {
  if (endedHold === undefined) return [];
  const since = endedHold.since === null ? '' : `, since ${endedHold.since}`;
  return [`The hold of the deploy ${plain(endedHold.deploy)}${plain(since)} has ended.`];
}

function namesOf(names: readonly string[]): string {
  return plain(listed(names, MOST_NAMES));
}

function outcomeLine(report: Report, { colour }: SummaryOptions): string {
  const duration = humanDuration(Date.parse(report.finishedAt) - Date.parse(report.startedAt));
  const what = report.mode === 'plan' ? 'Plan' : 'Deploy';
  const failed = report.totals.failed > 0 ? ` with ${counted(report.totals.failed, 'failed index')}` : '';
  const [text, style]: [string, Style] =
    report.status === 'succeeded'
      ? [`${what} ${report.deploy} succeeded${failed} in ${duration}`, failed === '' ? 'green' : 'yellow']
      : [
          `${what} ${report.deploy} failed after ${duration}: ${plain(headlineOf(report.failure ?? 'unknown error'))}`,
          'red',
        ];
  return paint(text, style, colour);
}
