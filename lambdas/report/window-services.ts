import type { ReportState, StoppedService } from '../shared/payloads.ts';
import { counted, listed } from '../shared/text.ts';

type WindowOutput = NonNullable<ReportState['window']>['output'];

/** Services that a message names. */
const SHOWN_SERVICES = 10;

/** Why services did not stop within `stopMinutes`, with the statuses of their tasks. */
export function notStoppedFailure({ stopped }: WindowOutput): string {
  const services = stopped
    .filter(({ outcome }) => outcome === 'not-stopped')
    .map((service) => `${service.name}${tasksOf(service)}`);
  return `Services did not stop in time: ${listed(services, SHOWN_SERVICES)}. No migration ran and no index was built. A task that a load balancer deregisters, or that does not react to SIGTERM, still uses the database. Increase "stopMinutes", or decrease the deregistration delay of the target group or the stop timeout of the container.`;
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
  return `Someone else started services during the maintenance window: ${listed([...atStop, ...later], SHOWN_SERVICES)}. ${done} Find out what changed the desired count: a deployment of the application, its template with a desired count, or a person. Start the deploy again when nothing else changes these services.`;
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
