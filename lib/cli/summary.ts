import { knowsPending } from '../../lambdas/shared/migration-runner.ts';
import type { Report } from '../../lambdas/shared/report-schema.ts';
import { counted } from '../../lambdas/shared/text.ts';
import { plain } from './progress/line.ts';
import { paint, type Style } from './progress/text.ts';
import { humanDuration } from './progress/units.ts';
import { builtSection, failedSection, planSection } from './summary-indexes.ts';

export interface SummaryOptions {
  readonly colour: boolean;
  /** What to type to start services that were left stopped. Null: nothing, they end with the run. */
  readonly startServicesHint: string | null;
}

/** What a run came to, for people: totals, what failed and why, what was built, migrations, services, the outcome. */
export function summary(report: Report, options: SummaryOptions): string {
  const sections = [
    totalsSection(report),
    failedSection(report, options.colour),
    report.mode === 'plan' ? planSection(report) : builtSection(report),
    migrationsSection(report),
    servicesSection(report, options),
    report.warnings.map((warning) => paint(`Warning: ${plain(warning)}`, 'yellow', options.colour)),
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
  const text =
    report.mode === 'plan'
      ? `Indexes: ${skipped} already there, ${remaining} to build`
      : `Indexes: ${created} created, ${skipped} already there, ${failed} failed, ${remaining} remaining`;
  const omitted = report.indexesOmitted;
  return [
    omitted === 0 ? text : `${text} (${counted(omitted, 'index')} left out of this report for its size)`,
  ];
}

function migrationsSection(report: Report): string[] {
  const { runner, applied, pending } = report.migrations;
  const plan = report.mode === 'plan';
  if (!knowsPending(runner)) return othersMigrations(report);
  return [
    ...(applied.length === 0 ? [] : [`Migrations applied: ${applied.join(', ')}`]),
    ...(pending.length === 0
      ? []
      : [`Migrations ${plan ? 'that a deploy would apply' : 'pending'}: ${pending.join(', ')}`]),
    ...(plan && pending.length === 0 ? ['No migration is pending.'] : []),
  ];
}

/** Of a task or a function, only it knows what was pending. */
function othersMigrations({ mode, migrations }: Report): string[] {
  const { runner, outcome, applied, failure } = migrations;
  const who = runner === 'ecs-task' ? 'the task' : 'the function';
  if (mode === 'plan') {
    return [`Migrations: a deploy would run ${who} of the application; what it would apply, only it knows.`];
  }
  if (outcome === 'not-run') return [];
  const names = applied.length === 0 ? '' : `, applied: ${applied.join(', ')}`;
  const log = failure?.log == null ? '' : `; its log: ${failure.log}`;
  return [`Migrations: ${who} of the application ${outcome}${names}${log}`];
}

function servicesSection(report: Report, { colour, startServicesHint }: SummaryOptions): string[] {
  const { services, downtimeMs, mode } = report;
  if (services.length === 0) return [];
  const names = (list: typeof services) => list.map((service) => service.name).join(', ');
  if (mode === 'plan') {
    const { runner, pending: files } = report.migrations;
    const pending = report.totals.remaining > 0 || files.length > 0 || !knowsPending(runner);
    return [`A deploy would ${pending ? 'stop and start' : 'not stop'} the services: ${names(services)}`];
  }
  const down = services.filter((service) => service.stoppedAt !== null && service.startedAt === null);
  if (down.length > 0) {
    const next =
      startServicesHint === null ? 'they end with this run' : `start them with: ${startServicesHint}`;
    const text = `Services LEFT STOPPED: ${names(down)}; ${next}`;
    return [paint(text, ['red', 'bold'], colour)];
  }
  const stopped = services.filter((service) => service.stoppedAt !== null);
  if (stopped.length === 0) return [`Services: not stopped (${names(services)})`];
  return [`Services: ${names(stopped)}; they were down for ${humanDuration(downtimeMs ?? 0)}`];
}

function outcomeLine(report: Report, { colour }: SummaryOptions): string {
  const took = humanDuration(Date.parse(report.finishedAt) - Date.parse(report.startedAt));
  const what = report.mode === 'plan' ? 'Plan' : 'Deploy';
  const lost = report.totals.failed > 0 ? ` with ${counted(report.totals.failed, 'failed index')}` : '';
  const [text, style]: [string, Style] =
    report.status === 'succeeded'
      ? [`${what} ${report.deploy} succeeded${lost} in ${took}`, lost === '' ? 'green' : 'yellow']
      : [`${what} ${report.deploy} failed after ${took}: ${plain(report.failure ?? 'unknown')}`, 'red'];
  return paint(text, style, colour);
}
