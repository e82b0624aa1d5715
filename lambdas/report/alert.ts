import { describeAttempts, describeGroup, groupFailures, groupLines } from '../shared/failure-groups.ts';
import { changedRevisions, reportId } from '../shared/report-names.ts';
import type { IndexReport, Report } from '../shared/report-schema.ts';
import { counted, headlineOf, listed, shortened, shortenedToBytes } from '../shared/text.ts';
import { oneLine, visibleJson, withoutLinks } from '../shared/visible-text.ts';

export interface Alert {
  /** Under 100 characters and without control characters: SNS refuses others. */
  subject: string;
  /** At most 20 lines, unless a migration's next steps need more, and far below the 256 KiB of SNS. */
  message: string;
}

export interface AlertContext {
  environment: string;
  startServicesMachine: string;
  buildIndexesMachine: string;
}

const MAX_SUBJECT_LENGTH = 99;
const MAX_LINES = 20;
/** SNS accepts 256 KiB, but nobody reads that much. */
const MAX_BYTES = 48 * 1024;
/** Space for the list of failed indexes, in bytes. */
const LIST_BYTES = 24 * 1024;
/** Lines of the list of failed indexes that are there in any case. */
const FEWEST_LINES = 4;
const MAX_WARNINGS = 4;
/** Characters of one line that is not in the list. */
const LONGEST_LINE = 4_000;
/** More indexes are not named in the input of an execution, because the input {} builds all that are missing. */
const NAMED_INDEXES = 20;
const SHOWN_SERVICES = 20;
/** Reasons why services could not be started. The report has all of them. */
const MAX_REASONS = 3;

/** The alert for a deploy that failed or in which an index failed. Undefined: no alert is needed. */
export function alertOf(report: Report, context: AlertContext): Alert | undefined {
  const failed = report.indexes.filter((index) => index.status === 'failed');
  if (report.status === 'succeeded' && failed.length === 0) return undefined;
  const outcome =
    report.status === 'failed'
      ? 'deploy FAILED'
      : `deploy succeeded, ${counted(report.totals.failed, 'index')} failed`;
  return {
    subject: printable(`pg-deploy-step ${context.environment}: ${outcome}`).slice(0, MAX_SUBJECT_LENGTH),
    message: alertMessage(report, failed, context),
  };
}

function alertMessage(report: Report, failed: readonly IndexReport[], context: AlertContext): string {
  // The list of the indexes repeats what follows the headlines.
  const status =
    report.failure === null ? 'succeeded with warnings' : `failed. ${headlineOf(report.failure)}`;
  const before = [
    `Environment: ${context.environment}`,
    // The person who starts an execution chooses its name.
    `Deploy: ${report.deploy.replaceAll('.', DOT)} (${report.mode})`,
    `Status: ${status}`,
    `Services: ${servicesLine(report)}`,
    ...revisionLines(report),
    ...notStartedLines(report),
  ];
  const after = [
    ...warningLines(report.warnings),
    '',
    'What to do next:',
    ...nextSteps(report, failed, context).map((step, at) => `${at + 1}. ${step}`),
  ];
  const room = Math.max(FEWEST_LINES, MAX_LINES - before.length - after.length);
  const lines = [...before, ...indexLines(failed, room), ...after].map(short);
  return shortenedToBytes(lines.join('\n'), MAX_BYTES, ' … (cut)');
}

/** A line for mails and chats, which turn text into links. JSON and SQL strings have the same value with the escapes. */
function short(line: string): string {
  return withoutLinks(shortened(oneLine(line), LONGEST_LINE));
}

/** A dot that makes no link. */
const DOT = '\\u002e';

function warningLines(warnings: readonly string[]): string[] {
  const shown = warnings.length > MAX_WARNINGS ? warnings.slice(0, MAX_WARNINGS - 1) : warnings;
  const rest = warnings.length - shown.length;
  return [
    ...shown.map((warning) => `Warning: ${headlineOf(warning)}`),
    ...(rest === 0 ? [] : [`Warning: and ${rest} more, in the report`]),
  ];
}

function servicesLine(report: Report): string {
  if (report.services.length === 0) return 'none are configured';
  if (report.hold !== undefined)
    return `HELD for the deployment of the application, until ${report.hold.until} at most: ${listed(heldServices(report), SHOWN_SERVICES)}`;
  const stopped = stoppedServices(report);
  if (stopped.length > 0) return `STOPPED: ${listed(stopped, SHOWN_SERVICES)}`;
  if (report.services.every((service) => service.stoppedAt === null)) return 'up; they were not stopped';
  return `up; they were down for ${Math.round((report.downtimeMs ?? 0) / 1000)} s`;
}

function revisionLines({ services }: Report): string[] {
  const changed = changedRevisions(services);
  return changed.length === 0 ? [] : [`Revisions: ${listed(changed, SHOWN_SERVICES)}`];
}

function heldServices({ services }: Report): string[] {
  return services.filter(({ status }) => status === 'stopped').map(({ name }) => name);
}

/** Names of the services that a deploy stopped and nothing has started yet. */
function stoppedServices({ services }: Report): string[] {
  return services
    .filter(
      ({ stoppedAt, startedAt, status }) => status === 'failed' || (stoppedAt !== null && startedAt === null),
    )
    .map((service) => service.name);
}

/** Why services could not be started: a line for each reason. */
function notStartedLines({ services }: Report): string[] {
  const failed = services.filter(({ status }) => status === 'failed');
  const byReason = Map.groupBy(failed, ({ error }) => error?.message ?? 'unknown');
  return [...byReason].slice(0, MAX_REASONS).map(
    ([reason, group]) =>
      `Not started: ${listed(
        group.map(({ name }) => name),
        SHOWN_SERVICES,
      )}: ${reason}`,
  );
}

/** @param room lines, the heading included */
function indexLines(failed: readonly IndexReport[], room: number): string[] {
  if (failed.length === 0) return [];
  const lines = groupLines(groupFailures(failed), { lines: room - 1, bytes: LIST_BYTES }, (group) => {
    return [`${describeGroup(group)} [${describeAttempts(group)}]`];
  });
  return ['Failed indexes:', ...lines.map((line) => `- ${line}`)];
}

/** Each step can be typed as it is written: the console accepts the same input as the command line. */
function nextSteps(report: Report, failed: readonly IndexReport[], context: AlertContext): string[] {
  const steps: string[] = [];
  if (report.hold !== undefined) {
    steps.push(
      `The services are held. After the deployment of the application, start an execution of the state machine ` +
        `${context.startServicesMachine} with the input {}. Otherwise the recovery starts them at ${report.hold.until}.`,
    );
  } else if (stoppedServices(report).length > 0) {
    steps.push(
      `The services are stopped. Start them if they can run without what failed: start an execution of the state ` +
        `machine ${context.startServicesMachine} with the input {} (console: Step Functions, State machines, ` +
        `${context.startServicesMachine}, Start execution).`,
    );
  }
  if (failed.length > 0) {
    const isNamed = failed.length <= NAMED_INDEXES;
    const input = isNamed ? `{"indexes": ${visibleJson(failed.map(reportId))}}` : '{}';
    const why = isNamed ? '' : ' It builds every index that is missing.';
    steps.push(
      `Fix the causes in the messages above.${isNamed ? '' : ` ${allFailures(report)}`}`,
      `Build only the failed indexes, while the services run: start an execution of ${context.buildIndexesMachine} with the input ${input}.${why}`,
    );
  } else if (report.migrations.failure !== null) {
    steps.push(...report.migrations.failure.next);
  } else if (report.failure !== null) {
    steps.push(
      `Fix the cause in the status above, then start the deploy again with the input ${inputAgain(report)}.`,
    );
  }
  return steps;
}

/** The revisions that the deploy named stay part of its input. */
function inputAgain({ services }: Report): string {
  const requested = services.flatMap(({ name, revision }) =>
    revision?.requested === undefined ? [] : [[name, revision.requested]],
  );
  return requested.length === 0 ? '{}' : visibleJson({ taskDefinitions: Object.fromEntries(requested) });
}

/** How to see all failed indexes: an execution that failed has no output, and a report in one has limited space. */
function allFailures({ deploy }: Report): string {
  const isPlain = /^[\w-]*$/.test(deploy);
  const text = deploy.replaceAll('\\', '\\\\').replaceAll("'", "''").replaceAll('.', DOT);
  return `All failed indexes: select item, sqlstate, message from deploy_step.index_builds where deploy = ${isPlain ? '' : 'E'}'${text}' and status = 'failed';`;
}

/** SNS refuses a subject with control characters. */
function printable(text: string): string {
  return text.replace(/[^\x20-\x7e]+/g, ' ');
}
