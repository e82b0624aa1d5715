import { describeCaught } from '../shared/caught-error.ts';
import type { CheckedService, ReportState } from '../shared/payloads.ts';
import type { ServiceReport } from '../shared/report-schema.ts';
import { headlineOf, shortened } from '../shared/text.ts';
import { visible } from '../shared/visible-text.ts';
import { readMarker } from './hold-report.ts';
import { groupedByReason, servicesIn } from './window-services.ts';

/*
 * What the rehearsal of a plan has found: the maintenance window has checked the services as in a deploy, and has read the saved
 * states and the marker.
 */

/** The services of a plan with what the rehearsal found. */
export function rehearsedServices(state: ReportState, services: readonly ServiceReport[]): ServiceReport[] {
  const checked = new Map(state.window?.output.checked.map((service) => [service.name, service]));
  const saved = namesOfSaved(state);
  return services.map((service) => {
    const found = checked.get(service.name);
    const { desiredCount, scaling } = found?.current ?? {};
    return {
      ...service,
      usable: found?.usable ?? false,
      reason: reasonOf(found, state),
      ...(desiredCount !== undefined && { desiredCount, scaling: scaling != null }),
      leftStopped: saved.includes(service.name),
    };
  });
}

function reasonOf(service: CheckedService | undefined, { windowFailure }: ReportState): string | null {
  if (service === undefined)
    return windowFailure === undefined
      ? 'it was not checked'
      : `it could not be checked: ${describeCaught(windowFailure)}`;
  if (service.reason !== null) return visible(service.reason);
  return service.error === undefined ? null : notReadReason(service);
}

/** Why the services of a deploy or of a plan cannot be stopped, by reason. */
export function unusableServices(checked: readonly CheckedService[]): string {
  return groupedByReason(
    checked
      .filter(({ usable, waits }) => !usable && waits !== true)
      .map((service) => ({ name: service.name, reason: service.reason ?? notReadReason(service) })),
  );
}

function notReadReason({ error }: CheckedService): string | null {
  return error === undefined ? null : `it could not be read: ${describeCaught(error)}`;
}

/** The beginning of a warning for each reason why a deploy would be refused. */
export const WOULD_BE_REFUSED = 'A deploy would be refused.';

/** Characters of a refusal. */
const LONGEST_REFUSAL = 8_000;

/** Why a deploy would be refused now, all reasons in one line. Null: nothing is known that would refuse it. */
export function refusalOf(state: ReportState): string | null {
  const all = [...(state.refusal == null ? [] : [state.refusal]), ...refusalsOf(state)].map(headlineOf);
  return all.length === 0 ? null : shortened(visible(all.join(' ')), LONGEST_REFUSAL);
}

/** The reasons that a plan has collected. */
function refusalsOf(state: ReportState): string[] {
  const { now } = servicesProblems(state);
  return [...(state.planned?.refusals ?? []), ...(now === null ? [] : [now])];
}

/** Whether a deploy would stop the services. If the database could not be read, it is unknown, and possible. */
function mayStop({ planned }: ReportState): boolean {
  return planned?.decision == null || planned.decision === 'deploy';
}

/** What is wrong with services for a deploy now, and for a later one that stops them. */
function servicesProblems(state: ReportState): Record<'now' | 'later', string | null> {
  const { window, windowFailure, taskDefinitions = [] } = state;
  const stops = mayStop(state);
  if (windowFailure !== undefined) {
    const problem = `The services could not be checked: ${describeCaught(windowFailure)}.`;
    return stops || taskDefinitions.length > 0
      ? { now: problem, later: null }
      : { now: null, later: problem };
  }
  const checked = window?.output.checked ?? [];
  if (stops) return { now: problemOf(CANNOT_BE_STOPPED, checked), later: null };
  const isUpdated = (service: CheckedService) => taskDefinitions.some(({ name }) => name === service.name);
  return {
    now: problemOf(CANNOT_BE_UPDATED, checked.filter(isUpdated)),
    later: problemOf(
      CANNOT_BE_STOPPED,
      checked.filter((service) => !isUpdated(service)),
    ),
  };
}

const CANNOT_BE_STOPPED = 'Services cannot be stopped.';
const CANNOT_BE_UPDATED = 'The services cannot get the requested revisions.';

function problemOf(problem: string, checked: readonly CheckedService[]): string | null {
  const reasons = unusableServices(checked);
  return reasons === '' ? null : `${problem} ${reasons}.`;
}

/** What a plan warns of, in addition to the warnings of preflight. */
export function rehearsalWarnings(state: ReportState, configured: readonly string[]): string[] {
  const { later } = servicesProblems(state);
  const waiting = (state.window?.output.checked ?? []).filter(({ waits }) => waits);
  return [
    ...refusalsOf(state).map((refusal) => `${WOULD_BE_REFUSED} ${visible(refusal)}`),
    ...(later === null
      ? []
      : [`${later} A deploy would not stop them now, but the next one that does would be refused.`]),
    ...(waiting.length > 0 && mayStop(state)
      ? [
          `A deploy would wait before it stops the services: ${servicesIn(waiting.map(({ name }) => name))} ${waiting.length === 1 ? 'is' : 'are'} in the middle of an ECS deployment.`,
        ]
      : []),
    ...savedWarnings(state, configured),
  ];
}

/** Services that an earlier deploy, or a running one, has stopped. */
function savedWarnings(state: ReportState, configured: readonly string[]): string[] {
  const saved = namesOfSaved(state);
  const stopped = saved.filter((name) => configured.includes(name));
  const others = saved.filter((name) => !configured.includes(name));
  return [
    ...(stopped.length > 0 ? [stoppedWarning(state, servicesIn(stopped))] : []),
    ...(others.length > 0
      ? [
          `Parameter Store has saved states of services that are not configured under these names: ${servicesIn(others)}. A deploy restores them, also under another name of the same service.`,
        ]
      : []),
  ];
}

function stoppedWarning(state: ReportState, names: string): string {
  const marker = readMarker(state.window?.output.marker);
  if (marker === undefined)
    return `Another deploy has stopped services, which are not started yet: ${names}. If none is running, the recovery starts them.`;
  const by = `by the deploy ${marker.deploy}${marker.since === null ? '' : `, since ${visible(marker.since)}`}`;
  if (!marker.isHold) return `Services are left stopped ${by}: ${names}. A deploy that succeeds starts them.`;
  const next =
    state.hold === true ? 'A deploy would hold them again.' : 'A deploy starts them, which ends the hold.';
  return `Services are held for the deployment of the application ${by}: ${names}. ${next}`;
}

function namesOfSaved({ window }: ReportState): string[] {
  return (window?.output.saved ?? []).map((parameter) => visible(parameter.split('/').at(-1) ?? parameter));
}
