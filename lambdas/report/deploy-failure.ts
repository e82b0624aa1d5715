import { describeCaught } from '../shared/caught-error.ts';
import { groupFailures, groupLines } from '../shared/failure-groups.ts';
import type { ReportState } from '../shared/payloads.ts';
import { indexId } from '../shared/registry.ts';
import { countOf } from '../shared/report-names.ts';
import type { Report, ServiceReport } from '../shared/report-schema.ts';
import { counted, shortenedToBytes, withList } from '../shared/text.ts';
import { oneLine, visible, visibleLines } from '../shared/visible-text.ts';
import { unusableServices } from './rehearsal.ts';
import { revisionFailure, updateFailure } from './revision-report.ts';
import { SAVED_STATE_MISSING } from './service-report.ts';
import { groupedByReason, notStoppedFailure, servicesIn, startedByOthersFailure } from './window-services.ts';

/** Longest Cause of an execution, in bytes: Step Functions stores at most 32,768 characters. */
const CAUSE_LIMIT_BYTES = 32 * 1024;
/** Lines of a Cause, its first line included. */
const CAUSE_LINES = 20;
/** Space for the first line of a Cause, in bytes. */
const HEADLINE_BYTES = 1_024;
const CUT = ' … (cut: the alert and the log of the function report show more)';

/** Why a deploy failed, for people, in at most 20 lines and 32 KiB. Null: it succeeded. */
export function deployFailure(
  state: ReportState,
  report: Pick<Report, 'indexes' | 'services' | 'migrations'>,
): string | null {
  const failure = firstFailure(state, report);
  return failure === null ? null : shortenedToBytes(visibleLines(failure), CAUSE_LIMIT_BYTES, CUT);
}

function firstFailure(
  state: ReportState,
  report: Pick<Report, 'indexes' | 'services' | 'migrations'>,
): string | null {
  if (state.refusal) return `Refused before anything was stopped or changed. ${visible(state.refusal)}`;
  if (state.preflightFailure)
    return `The preflight failed with an unexpected error. Nothing was stopped or changed: ${describeCaught(state.preflightFailure)}`;
  return (
    onlineFailure(state, report) ??
    windowFailure(state, report) ??
    criticalIndexFailure(report) ??
    unreadCriticalFailure(state) ??
    holdFailure(state) ??
    completedFailure(state) ??
    startFailure(state, report) ??
    revisionFailure(state) ??
    updateFailure(state) ??
    buildsFailure(state)
  );
}

/** Files that are applied before anything is stopped. */
function onlineFailure(
  { onlineMigrations, onlineFailure: caught }: ReportState,
  { migrations }: Pick<Report, 'migrations'>,
): string | null {
  if (caught === undefined && onlineMigrations?.output.status !== 'failed') return null;
  return migrations.failure?.message ?? 'The migrations failed.';
}

function windowFailure(state: ReportState, { migrations }: Pick<Report, 'migrations'>): string | null {
  // It is a reason why a deploy would be refused.
  if (state.mode === 'plan') return null;
  if (state.windowFailure)
    return `The maintenance window failed with an unexpected error: ${describeCaught(state.windowFailure)}`;
  const window = state.window?.output;
  if (window === undefined) return null;
  switch (window.verdict) {
    case 'services-refused':
      return `Services cannot be stopped, so nothing was stopped or changed. ${unusableServices(window.checked)}.`;
    case 'services-not-stopped':
      return notStoppedFailure(window);
    case 'services-started-by-others':
      return startedByOthersFailure(window, window.migrations?.status === 'applied');
    case 'sessions-remain':
      return `The services are stopped, but sessions of the application remain: ${visible(window.sessions ?? 'unknown')}. No migration ran and no index was built. Find out which program opened these sessions, and end them.`;
    case 'migration-failed':
      return migrations.failure?.message ?? 'The migrations failed.';
    case 'critical-failed':
    case 'ok':
    case 'rehearsed':
      return null;
  }
}

function criticalIndexFailure({ indexes }: Pick<Report, 'indexes'>): string | null {
  const failed = indexes.filter((index) => index.status === 'failed' && index.critical);
  const [first, second] = failed;
  if (first === undefined) return null;
  const groups = groupFailures(failed);
  if (second === undefined && first.schemas === undefined)
    return `Critical index not built: ${oneLine(`${indexId(first)} on ${first.table}`)}: ${groups[0]?.message ?? 'unknown'}`;
  const count = failed.reduce((sum, index) => sum + countOf(index, 'failed'), 0);
  return withList(
    `Critical indexes not built: ${counted(count, 'index')}, ${counted(groups.length, 'cause')}.`,
    groupLines(groups, { lines: CAUSE_LINES - 1, bytes: CAUSE_LIMIT_BYTES - HEADLINE_BYTES }),
  );
}

/** The state knows that a critical index failed, and the database could not be read to say which. */
function unreadCriticalFailure({ window, builds }: ReportState): string | null {
  const failed = window?.output.verdict === 'critical-failed' || (builds?.output.failed.critical ?? 0) > 0;
  return failed
    ? 'A critical index was not built. The database could not be read, so this report does not name it: see the warnings, and the log of the function build-index.'
    : null;
}

function holdFailure({
  holdFailure: failure,
  listFailure,
  startFailure: notStarted,
}: ReportState): string | null {
  if (listFailure)
    return `Whether an earlier deploy has left services stopped is unknown, so they could not be held: ${describeCaught(listFailure)}. Nothing was stopped or started.`;
  // That the services are stopped is more important.
  if (failure === undefined || notStarted !== undefined) return null;
  return `The services could not be held for the deployment of the application, so they were started: ${describeCaught(failure)}. Migrations and indexes are done. Fix the cause, and start the deploy again before the application is deployed.`;
}

function completedFailure({
  completedFailure: failure,
  startFailure: notStarted,
}: ReportState): string | null {
  // That the services are stopped is more important.
  if (failure === undefined || notStarted !== undefined) return null;
  return `The services were started on the revisions that they had, because the end of the maintenance window could not be recorded: ${describeCaught(failure)}. Migrations and indexes are done. Fix the cause, and start the deploy again.`;
}

function startFailure(state: ReportState, { services }: Pick<Report, 'services'>): string | null {
  if (state.startFailure) return `The services could not be started: ${describeCaught(state.startFailure)}`;
  const withStatus = (status: ServiceReport['status']) =>
    services.filter((service) => service.status === status);
  const notSteady = withStatus('not-steady');
  const failed = withStatus('failed');
  const steady = services.length - notSteady.length - failed.length;
  const counts = `(${steady} of ${services.length} are steady)`;
  const late =
    notSteady.length === 0
      ? null
      : `Services were started but did not become steady in time: ${servicesIn(notSteady.map(({ name }) => name))} ${counts}.`;
  if (failed.length === 0) return late;
  const reasons = groupedByReason(
    failed.map(({ name, error }) => ({ name, reason: error?.message ?? 'unknown' })),
  );
  const toDo = failed.some(({ error }) => error?.name !== SAVED_STATE_MISSING.name)
    ? ' Their saved state is kept: fix the cause, then run start-services.'
    : '';
  const notStarted = `Services could not be started: ${reasons} ${counts}.${toDo}`;
  return late === null ? notStarted : `${notStarted} ${late}`;
}

function buildsFailure(state: ReportState): string | null {
  return state.buildsFailure
    ? `The index builds failed with an unexpected error: ${describeCaught(state.buildsFailure)}`
    : null;
}
