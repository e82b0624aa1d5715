import { indexId } from '../shared/registry.ts';
import type { IndexReport, Report } from '../shared/report-schema.ts';
import { counted } from '../shared/text.ts';

export interface Alert {
  /** Under 100 characters and without control characters: SNS refuses others. */
  subject: string;
  message: string;
}

export interface AlertContext {
  environment: string;
  startServicesMachine: string;
  buildIndexesMachine: string;
}

const MAX_SUBJECT_LENGTH = 99;
const MAX_INDEXES = 20;
/** Characters of one error. SNS accepts 256 KiB, but nobody reads that much. */
const MAX_ERROR_LENGTH = 1_000;

/** The alert for a deploy that failed or in which an index failed. Undefined: no alert is needed. */
export function alertOf(report: Report, context: AlertContext): Alert | undefined {
  const failed = report.indexes.filter((index) => index.status === 'failed');
  if (report.status === 'succeeded' && failed.length === 0) return undefined;
  const outcome =
    report.status === 'failed'
      ? 'deploy FAILED'
      : `deploy succeeded, ${counted(failed.length, 'index')} failed`;
  return {
    subject: printable(`pg-deploy-step ${context.environment}: ${outcome}`).slice(0, MAX_SUBJECT_LENGTH),
    message: [
      `Environment: ${context.environment}`,
      `Deploy: ${report.deploy} (${report.mode})`,
      report.failure === null ? 'Status: succeeded with warnings' : `Status: failed. ${report.failure}`,
      `Services: ${servicesLine(report)}`,
      ...indexLines(failed),
      ...report.warnings.map((warning) => `Warning: ${warning}`),
      '',
      'What to do next:',
      ...nextSteps(report, failed, context).map((step, at) => `${at + 1}. ${step}`),
    ].join('\n'),
  };
}

function servicesLine(report: Report): string {
  if (report.services.length === 0) return 'none are configured';
  const stopped = stoppedServices(report);
  if (stopped.length > 0) return `STOPPED: ${stopped.join(', ')}`;
  if (report.services.every((service) => service.stoppedAt === null)) return 'up; they were not stopped';
  return `up; they were down for ${Math.round((report.downtimeMs ?? 0) / 1000)} s`;
}

/** Names of the services that this deploy stopped and nothing has started yet. */
function stoppedServices({ services }: Report): string[] {
  return services
    .filter((service) => service.stoppedAt !== null && service.startedAt === null)
    .map((service) => service.name);
}

function indexLines(failed: readonly IndexReport[]): string[] {
  if (failed.length === 0) return [];
  const lines = failed
    .slice(0, MAX_INDEXES)
    .map(
      (index) =>
        `- ${indexId(index)} on ${index.table}${index.critical ? ' (critical)' : ''}: ` +
        `${(index.error?.message ?? 'unknown').slice(0, MAX_ERROR_LENGTH)} [${counted(index.attempts, 'attempt')}]`,
    );
  const more = failed.length - lines.length;
  return ['Failed indexes:', ...lines, ...(more > 0 ? [`- and ${more} more`] : [])];
}

/** Each step can be typed as it is written: the console accepts the same input as the command line. */
function nextSteps(report: Report, failed: readonly IndexReport[], context: AlertContext): string[] {
  const steps: string[] = [];
  if (stoppedServices(report).length > 0) {
    steps.push(
      `The services are stopped. Start them if they can run without what failed: start an execution of the state ` +
        `machine ${context.startServicesMachine} with the input {} (console: Step Functions, State machines, ` +
        `${context.startServicesMachine}, Start execution).`,
    );
  }
  if (failed.length > 0) {
    const names = JSON.stringify(failed.slice(0, MAX_INDEXES).map(indexId));
    steps.push(
      'Fix the causes in the messages above.',
      `Build only the failed indexes, while the services run: start an execution of ${context.buildIndexesMachine} with the input {"indexes": ${names}}.`,
    );
  } else if (report.migrations.failure !== null) {
    steps.push(...report.migrations.failure.next);
  } else if (report.failure !== null) {
    steps.push('Fix the cause in the status above, then start the deploy again with the input {}.');
  }
  return steps;
}

/** SNS refuses a subject with control characters. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ');
}
