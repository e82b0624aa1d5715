import { indexId } from '../shared/registry.ts';
import type { IndexReport, Report } from '../shared/report-schema.ts';
import { counted } from '../shared/text.ts';

export interface Alert {
  /** Under 100 characters, without control characters: SNS takes no others. */
  subject: string;
  message: string;
}

export interface AlertContext {
  environment: string;
  startServicesMachine: string;
  buildIndexesMachine: string;
}

const LONGEST_SUBJECT = 99;
const MOST_INDEXES = 20;
/** Of one error, in characters: a message of SNS carries 256 KiB, and a person reads less. */
const LONGEST_ERROR = 1_000;

/** The alert for a deploy that failed or lost an index. Undefined: all went well. */
export function alertOf(report: Report, context: AlertContext): Alert | undefined {
  const failed = report.indexes.filter((index) => index.status === 'failed');
  if (report.status === 'succeeded' && failed.length === 0) return undefined;
  const what =
    report.status === 'failed'
      ? 'deploy FAILED'
      : `deploy succeeded, ${failed.length} ${failed.length === 1 ? 'index' : 'indexes'} failed`;
  return {
    subject: plain(`pg-deploy-step ${context.environment}: ${what}`).slice(0, LONGEST_SUBJECT),
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
  const down = report.services.filter((service) => service.stoppedAt !== null && service.startedAt === null);
  if (down.length > 0) return `STOPPED: ${down.map((service) => service.name).join(', ')}`;
  if (report.services.every((service) => service.stoppedAt === null)) return 'up; they were not stopped';
  return `up; they were down for ${Math.round((report.downtimeMs ?? 0) / 1000)} s`;
}

function indexLines(failed: readonly IndexReport[]): string[] {
  if (failed.length === 0) return [];
  const lines = failed
    .slice(0, MOST_INDEXES)
    .map(
      (index) =>
        `- ${indexId(index)} on ${index.table}${index.critical ? ' (critical)' : ''}: ` +
        `${(index.error?.message ?? 'unknown').slice(0, LONGEST_ERROR)} [${counted(index.attempts, 'attempt')}]`,
    );
  const more = failed.length - lines.length;
  return ['Failed indexes:', ...lines, ...(more > 0 ? [`- and ${more} more`] : [])];
}

/** Written so that it can be typed as it stands: the console takes the same input as the command line. */
function nextSteps(report: Report, failed: readonly IndexReport[], context: AlertContext): string[] {
  const steps: string[] = [];
  const down = report.services.some((service) => service.stoppedAt !== null && service.startedAt === null);
  if (down) {
    steps.push(
      `Start the services when you decide that they may run without what failed: start an execution of the state ` +
        `machine ${context.startServicesMachine} with the input {} (console: Step Functions, State machines, ` +
        `${context.startServicesMachine}, Start execution).`,
    );
  }
  if (failed.length > 0) {
    const names = JSON.stringify(failed.slice(0, MOST_INDEXES).map(indexId));
    steps.push(
      'Mend what the messages above name.',
      `Build the failed indexes alone, while the services run: start an execution of ${context.buildIndexesMachine} with the input {"indexes": ${names}}.`,
    );
  } else if (report.migrations.failure !== null) {
    steps.push(...report.migrations.failure.next);
  } else if (report.failure !== null) {
    steps.push('Mend what the status above names, then start the deploy again with the input {}.');
  }
  return steps;
}

/** Printable characters only: SNS refuses a subject with control characters. */
function plain(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ');
}
