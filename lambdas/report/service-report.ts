import { describeCaught } from '../shared/caught-error.ts';
import type { ReportState } from '../shared/payloads.ts';
import type { ServiceReport } from '../shared/report-schema.ts';
import { shortened } from '../shared/text.ts';
import { oneLine } from '../shared/visible-text.ts';
import { heldAgain } from './hold-report.ts';
import { revisionOf } from './revision-report.ts';

/** Characters of the message of an error. */
const MAX_MESSAGE = 500;

/** This deploy has stopped the service, and nothing says how to start it. */
export const SAVED_STATE_MISSING = {
  name: 'SavedStateMissing',
  message:
    'its saved state does not exist any more. Someone has deleted it, or another execution of start-services has started the service. Check whether it runs, and start it by hand if not',
};

type Started = NonNullable<ReportState['start']>['output']['services'][number];

/**
 * What this deploy did to each service: the configured ones, and those that an earlier deploy stopped and that have another
 * name now or are no longer configured.
 */
export function serviceReports(state: ReportState, configured: readonly string[]): ServiceReport[] {
  const stopped = new Map(state.window?.output.stopped.map((service) => [service.name, service]));
  const started = new Map(state.start?.output.services.map((service) => [service.name, service]));
  const held = heldAgain(state);
  const names = [...new Set([...configured, ...started.keys(), ...held])];
  return names.map((name) => {
    const start = started.get(name);
    // A window that failed has no output, but the stop time is also in the saved state of the service.
    const revision = revisionOf(state, name, start);
    const stoppedAt = stopped.get(name)?.stoppedAt ?? start?.stoppedAt ?? null;
    return {
      name,
      stoppedAt,
      startedAt: start?.startedAt ?? null,
      status: held.includes(name) ? 'stopped' : statusOf(start, stoppedAt),
      error: errorOf(start, stoppedAt),
      ...(start?.raisedTo != null && { raisedTo: start.raisedTo }),
      ...(revision && { revision }),
    };
  });
}

function statusOf(start: Started | undefined, stoppedAt: string | null): ServiceReport['status'] {
  switch (start?.outcome) {
    case 'started':
    case 'not-steady':
    case 'failed':
      return start.outcome;
    case 'deploy-running':
      return 'stopped';
    case 'nothing-saved':
      return stoppedAt === null ? 'unchanged' : 'failed';
    case undefined:
      return stoppedAt === null ? 'unchanged' : 'stopped';
  }
}

function errorOf(start: Started | undefined, stoppedAt: string | null): ServiceReport['error'] {
  if (start?.outcome === 'nothing-saved' && stoppedAt !== null) return SAVED_STATE_MISSING;
  if (start?.error == null) return null;
  return {
    name: oneLine(start.error.Error),
    message: shortened(oneLine(describeCaught(start.error)), MAX_MESSAGE),
  };
}

/** From the first stop to the last start, in milliseconds. Null: a service is still stopped. */
export function downtimeOf(services: readonly ServiceReport[]): number | null {
  const stopped = services.filter((service) => service.stoppedAt !== null);
  if (services.some(({ status }) => status === 'failed' || status === 'stopped')) return null;
  if (stopped.length === 0) return 0;
  if (stopped.some((service) => service.startedAt === null)) return null;
  const times = (pick: (service: ServiceReport) => string | null) =>
    stopped.map((service) => Date.parse(pick(service) ?? ''));
  return (
    Math.max(...times((service) => service.startedAt)) - Math.min(...times((service) => service.stoppedAt))
  );
}
