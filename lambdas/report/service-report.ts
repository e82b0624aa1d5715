import type { ReportState } from '../shared/payloads.ts';
import type { ServiceReport } from '../shared/report-schema.ts';

/** When each configured service went down and came up in this deploy. */
export function serviceReports(state: ReportState, configured: readonly string[]): ServiceReport[] {
  const stopped = new Map(state.window?.output.stopped.map((service) => [service.name, service]));
  const started = new Map(state.start?.output.services.map((service) => [service.name, service]));
  return configured.map((name) => ({
    name,
    // The window's own word is lost where it broke; then what was remembered beside the count tells.
    stoppedAt: stopped.get(name)?.stoppedAt ?? started.get(name)?.stoppedAt ?? null,
    startedAt: started.get(name)?.startedAt ?? null,
  }));
}

/** From the first service down to the last one up, in milliseconds. Null: one is still down. */
export function downtimeOf(services: readonly ServiceReport[]): number | null {
  const touched = services.filter((service) => service.stoppedAt !== null);
  if (touched.length === 0) return 0;
  if (touched.some((service) => service.startedAt === null)) return null;
  const times = (pick: (service: ServiceReport) => string | null) =>
    touched.map((service) => Date.parse(pick(service) ?? ''));
  return (
    Math.max(...times((service) => service.startedAt)) - Math.min(...times((service) => service.stoppedAt))
  );
}
