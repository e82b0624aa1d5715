import { describeCaught } from '../shared/caught-error.ts';
import type { ReportState, StoppedService } from '../shared/payloads.ts';
import { counted, listed } from '../shared/text.ts';
import { visible } from '../shared/visible-text.ts';

type WindowOutput = NonNullable<ReportState['window']>['output'];

/** Services that a message names. */
const SHOWN_SERVICES = 10;

/** The names of services for a message. */
export function servicesIn(names: readonly string[]): string {
  return listed(names, SHOWN_SERVICES);
}

/** The services by the reason that they share, as `api, worker: REASON; nightly: REASON`. */
export function groupedByReason(services: readonly { name: string; reason: string | null }[]): string {
  const byReason = Map.groupBy(services, (service) => service.reason ?? 'unknown');
  return [...byReason]
    .map(([reason, group]) => `${servicesIn(group.map(({ name }) => name))}: ${visible(reason)}`)
    .join('; ');
}

/** Why services did not stop: an error, or the deadline `stopMinutes` with the statuses of their tasks. */
export function notStoppedFailure({ stopped }: WindowOutput): string {
  const withOutcome = (wanted: StoppedService['outcome']) =>
    stopped.filter(({ outcome }) => outcome === wanted);
  const failed = withOutcome('failed').map(({ name, error }) => ({
    name,
    reason: error === null ? null : describeCaught(error),
  }));
  const late = withOutcome('not-stopped').map((service) => `${service.name}${tasksOf(service)}`);
  return [
    ...(failed.length > 0
      ? [`Services could not be stopped: ${groupedByReason(failed).replace(/\.$/, '')}.`]
      : []),
    ...(late.length > 0 ? [`Services did not stop in time: ${servicesIn(late)}.`] : []),
    'No migration ran and no index was built.',
    ...(failed.length > 0
      ? [
          'If a service was deleted, remove it from the configuration. Otherwise fix the error, and start the deploy again.',
        ]
      : []),
    ...(late.length > 0
      ? [
          'A task that a load balancer deregisters, or that does not react to SIGTERM, still uses the database. Increase "stopMinutes", or decrease the deregistration delay of the target group or the stop timeout of the container.',
        ]
      : []),
  ].join(' ');
}

/** Which services someone else started in the maintenance window, with the desired count. */
export function startedByOthersFailure({ stopped, raised }: WindowOutput, ranMigrations: boolean): string {
  const atStop = stopped
    .filter(({ outcome }) => outcome === 'started-by-others')
    .map(({ name, counts }) => withCount(name, counts?.desired));
  const later = (raised?.names ?? []).map((name, at) => withCount(name, raised?.counts[at]));
  const done = ranMigrations
    ? 'The migrations were applied, and the remaining indexes were not built.'
    : 'No migration ran and no index was built.';
  return `Someone else started services during the maintenance window: ${servicesIn([...atStop, ...later])}. ${done} Find out what changed the desired count: a deployment of the application, its template with a desired count, or a person. Start the deploy again when nothing else changes these services.`;
}

function withCount(name: string, desired: number | undefined): string {
  return desired === undefined ? name : `${name} (desired count ${desired})`;
}

/** Such as " (2 tasks running)" and " (tasks in DEACTIVATING)". Empty: it is no ECS service. */
function tasksOf({ counts, stopping }: StoppedService): string {
  const statuses = (stopping?.statuses ?? []).filter((status) => status !== 'STOPPED');
  const states = [
    ...(counts?.running ? [`${counted(counts.running, 'task')} running`] : []),
    ...(counts?.pending ? [`${counted(counts.pending, 'task')} pending`] : []),
    ...(statuses.length > 0 ? [`tasks in ${statuses.join(', ')}`] : []),
  ];
  return states.length === 0 ? '' : ` (${states.join(', ')})`;
}
