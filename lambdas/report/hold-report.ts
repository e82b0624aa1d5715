import type { ReportState } from '../shared/payloads.ts';
import type { Report, ServiceReport } from '../shared/report-schema.ts';
import { visible } from '../shared/visible-text.ts';
import * as z from '../shared/zod.ts';
import { servicesIn } from './window-services.ts';

const MS_PER_MINUTE = 60_000;

/** The hold that this deploy has begun. Undefined: it holds no services. */
export function holdOf({ holding, holdFailure }: ReportState): Report['hold'] {
  if (holding === undefined || holdFailure !== undefined) return undefined;
  const { since, hold } = holding;
  return { since, until: new Date(Date.parse(since) + hold.minutes * MS_PER_MINUTE).toISOString() };
}

/** The marker of a hold, or of one whose services were being started when that was killed. */
const markerSchema = z.object({
  deploy: z.optional(z.string()),
  since: z.optional(z.string()),
  get of() {
    return z.optional(markerSchema);
  },
});

/** The hold that ended when the services were started. Undefined: there was none. */
export function endedHoldOf({ start }: ReportState): Report['endedHold'] {
  const marker = readMarker(start?.output.marker);
  return marker?.isHold === true ? { deploy: marker.deploy, since: marker.since } : undefined;
}

/** What the text of a marker says: which deploy has left the services stopped, and since when. Undefined: there is no marker. */
export function readMarker(
  text = '',
): { readonly deploy: string; readonly since: string | null; readonly isHold: boolean } | undefined {
  if (text === '') return undefined;
  const isHold = text.includes('"hold":{');
  try {
    const marker = markerSchema.parse(JSON.parse(text));
    const { deploy = 'unknown', since = null } = marker.of ?? marker;
    return { deploy: visible(deploy), since, isHold };
  } catch {
    // Someone has overwritten the parameter.
    return { deploy: 'unknown', since: null, isHold };
  }
}

/** Names of the services that an earlier deploy stopped and that this one holds. */
export function heldAgain(state: ReportState): string[] {
  if (holdOf(state) === undefined) return [];
  return (state.listed?.names ?? []).map((parameter) => parameter.split('/').at(-1) ?? parameter);
}

/** Whether a hold was possible, and what someone else did in it. */
export function holdWarnings(
  state: ReportState,
  services: readonly ServiceReport[],
  failure: string | null,
): string[] {
  const raised = services.flatMap(({ name, raisedTo }) =>
    raisedTo === undefined ? [] : [`${name} (${raisedTo})`],
  );
  return [
    ...(state.hold === true && failure === null && holdOf(state) === undefined
      ? [
          'No services are held: this deploy stopped none, and no earlier one left any stopped. The deployment of the application finds the services running.',
        ]
      : []),
    ...(raised.length === 0
      ? []
      : [
          `Someone else set a desired count while the services were held: ${servicesIn(raised)}. No count was lowered. If it was not you, look for the template or the deployment that sets it.`,
        ]),
    ...(state.mode === 'start-services' && failure === null && startedNothing(state)
      ? ['Nothing to start: no deploy has left a service stopped, and none is held.']
      : []),
  ];
}

function startedNothing({ start }: ReportState): boolean {
  return start?.output.services.every(({ outcome }) => outcome === 'nothing-saved') === true;
}
