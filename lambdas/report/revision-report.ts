import { describeCaught } from '../shared/caught-error.ts';
import type { ReportState } from '../shared/payloads.ts';
import type { ServiceReport } from '../shared/report-schema.ts';
import { unusableServices } from './rehearsal.ts';
import { groupedByReason, servicesIn } from './window-services.ts';

type Started = NonNullable<ReportState['start']>['output']['services'][number];

/** The revision of an ECS service before the deploy and now. Undefined: none was requested, and it is the same. */
export function revisionOf(
  { mode, taskDefinitions = [], window, update }: ReportState,
  name: string,
  start: Started | undefined,
): ServiceReport['revision'] {
  const updated = update?.output.updated?.find((service) => service.name === name);
  if (updated?.revision !== undefined) {
    const [before, after] = [updated.revision.from, updated.revision.to].map(([arn]) => shortOf(arn));
    if (updated.outcome === 'updated') return { from: before ?? null, to: after ?? null };
    return { from: before ?? null, to: null, ...(after != null && { requested: after }) };
  }
  const checked = window?.output.checked.find((service) => service.name === name);
  const started = start?.revision;
  const from = shortOf(started?.from[0] ?? checked?.current?.taskDefinition?.[0]);
  // A plan changes nothing.
  const to = mode === 'plan' ? from : shortOf(started?.to[0]);
  const requested =
    taskDefinitions.find((one) => one.name === name)?.taskDefinition ??
    shortOf(started?.wanted ?? started?.requested[0]);
  if (from === null && to === null) return undefined;
  if (requested === null && (from === to || to === null)) return undefined;
  return { from, to, ...(requested !== null && requested !== to && { requested }) };
}

/** Why running services did not get the revisions that the input names. Null: they did, or a window was necessary. */
export function updateFailure({ update, updateFailure: caught }: ReportState): string | null {
  if (caught)
    return `The revisions of the services could not be updated: ${describeCaught(caught)}. The services were not stopped.`;
  if (update === undefined) return null;
  const refused = unusableServices(update.output.checked);
  if (refused !== '')
    return `The services cannot get the requested revisions, and none was changed. ${refused}.`;
  const failed = (update.output.updated ?? []).flatMap(({ name, outcome, error }) => {
    if (outcome === 'failed') return [{ name, reason: error == null ? null : describeCaught(error) }];
    if (outcome === 'not-steady')
      return [{ name, reason: 'ECS has not completed its deployment within "startMinutes", and continues' }];
    return [];
  });
  return failed.length === 0
    ? null
    : `Services did not get the requested revisions. They were not stopped. ${groupedByReason(failed)}.`;
}

/** FAMILY:REVISION of an ARN. */
function shortOf(arn: string | null | undefined): string | null {
  return arn?.split('/').at(-1) ?? null;
}

/** A service that should have got a revision and is on another one. */
interface Missed {
  name: string;
  text: string;
  reason: string;
  isOld: boolean;
}

function missedRevisions({ start, update }: ReportState): Missed[] {
  return (start?.output.services ?? []).flatMap(({ name, revision }) => {
    const to = revision?.to[0];
    if (revision == null || revision.wanted === null || to === undefined || to === revision.wanted) return [];
    // A later revision replaces that of an earlier deploy.
    if (update?.output.updated?.some((one) => one.name === name && one.revision !== undefined)) return [];
    return [
      {
        name,
        text: `${name} (${shortOf(to)} instead of ${shortOf(revision.wanted)})`,
        reason:
          revision.error === null
            ? 'ECS has rolled its deployment back, or someone else has set this revision: read the events of the service in ECS'
            : describeCaught(revision.error),
        isOld: to === revision.from[0],
      },
    ];
  });
}

/** Services that came back on their old revision after a deploy that had named another one and had ended its window. */
export function revisionFailure(state: ReportState): string | null {
  const missed = missedRevisions(state).filter(({ isOld }) => isOld);
  if (missed.length === 0) return null;
  const reasons = [...new Set(missed.map(({ reason }) => reason.replace(/\.$/, '')))];
  return (
    `The migrations and the indexes are done, and the services run, but not on the requested revision: ${servicesIn(missed.map(({ text }) => text))}. ` +
    `${reasons.slice(0, MOST_REASONS).join('; ')}. Fix the cause, and start the deploy again with a revision that works.`
  );
}

const MOST_REASONS = 3;

/** Services that came back on a revision that was set in a hold, for example by the deployment of the application. */
export function revisionWarnings(state: ReportState): string[] {
  const missed = missedRevisions(state).filter(({ isOld }) => !isOld);
  return missed.length === 0
    ? []
    : [
        `Another revision than the requested one was set meanwhile, and was not changed: ${servicesIn(missed.map(({ text }) => text))}. If it was not you, look for the deployment that sets it.`,
      ];
}
