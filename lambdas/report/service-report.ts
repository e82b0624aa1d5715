import type { ReportState } from '../shared/payloads.ts';
import type { ServiceReport } from '../shared/report-schema.ts';

/** When this deploy stopped and started each configured service. */
export function serviceReports(state: ReportState, configured: readonly string[]): ServiceReport[] {
  const stopped = new Map(state.window?.output.stopped.map((service) => [service.name, service]));
  const started = new Map(state.start?.output.services.map((service) => [service.name, service]));
  return configured.map((name) => ({
    name,
    // A window that failed has no output, but the stop time is also in the saved state of the service.
    stoppedAt: stopped.get(name)?.stoppedAt ?? started.get(name)?.stoppedAt ?? null,
    startedAt: started.get(name)?.startedAt ?? null,
  }));
}

/** From the first stop to the last start, in milliseconds. Null: a service is still stopped. */
export function downtimeOf(services: readonly ServiceReport[]): number | null {
  const stopped = services.filter((service) => service.stoppedAt !== null);
  if (stopped.length === 0) return 0;
  if (stopped.some((service) => service.startedAt === null)) return null;
  const times = (pick: (service: ServiceReport) => string | null) =>
    stopped.map((service) => Date.parse(pick(service) ?? ''));
  return (
    Math.max(...times((service) => service.startedAt)) - Math.min(...times((service) => service.stoppedAt))
  );
}
