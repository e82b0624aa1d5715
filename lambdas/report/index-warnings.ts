import { causeKey, groupFailures, groupLines } from '../shared/failure-groups.ts';
import { indexId, tableId } from '../shared/registry.ts';
import { countOf, describeSchemas, reportId } from '../shared/report-names.ts';
import type { IndexReport } from '../shared/report-schema.ts';
import { counted, listed, shortened, withList } from '../shared/text.ts';
import { oneLine } from '../shared/visible-text.ts';
import type { IndexNote } from './index-report.ts';

/** Lines of a list of failures. */
const LIST_LINES = 19;
/** Bytes of a list of failures. The rest of the 256 KiB of an execution is for the indexes. */
const LIST_BYTES = 24 * 1024;
/** Names in a sentence. */
const SHOWN_NAMES = 3;
/** Warnings of one kind. */
const SHOWN_WARNINGS = 6;
/** Characters of one warning: the definition of an index can be long. */
const LONGEST_WARNING = 2_000;

const CONTINUED = 'The deploy continued, because these indexes are not critical.';

/** A warning about the failed indexes that are not critical, with a line for each cause if there are several indexes. */
export function notBuiltWarnings(indexes: readonly IndexReport[]): string[] {
  const failed = indexes.filter((index) => index.status === 'failed' && !index.critical);
  if (failed.length === 0) return [];
  const names = listed(failed.map(nameOfFailed).map(oneLine), SHOWN_NAMES);
  const count = failed.reduce((sum, index) => sum + countOf(index, 'failed'), 0);
  if (failed.length === 1) return [`Not built: ${names}. ${CONTINUED}`];
  const groups = groupFailures(failed);
  const headline = `Not built: ${counted(count, 'index')}, ${counted(groups.length, 'cause')}: ${names}. ${CONTINUED}`;
  return [withList(headline, groupLines(groups, { lines: LIST_LINES, bytes: LIST_BYTES }))];
}

/** `idx_orders_status`, or for an entry with `schemas` `idx_orders_status: 4,998 of 5,000 schemas, 2 failed`. */
function nameOfFailed(index: IndexReport): string {
  return index.schemas === undefined ? indexId(index) : `${index.name}: ${describeSchemas(index.schemas)}`;
}

/** A warning for each reason for which drifted indexes stay as they are. */
export function driftWarnings(drifted: readonly IndexNote[]): string[] {
  return warningsByReason(drifted, 'The report shows the definition of each drifted index (detail).');
}

/** A warning for each reason for which indexes were not compared with their definitions in the registry. */
export function notComparedWarnings(notCompared: readonly IndexNote[]): string[] {
  return warningsByReason(notCompared, 'The statements above are an example.');
}

function warningsByReason(notes: readonly IndexNote[], where: string): string[] {
  const byReason = Map.groupBy(notes, ({ index, text }) => {
    const [, reason = text] = text.split(', which differs from the registry.');
    const names = [indexId(index), index.name, tableId(index), index.table];
    return causeKey({ sqlstate: null, message: reason, names });
  });
  return limited(
    [...byReason.values()].map(([first, ...others]) => {
      const text = shortened(oneLine(first?.text ?? ''), LONGEST_WARNING);
      const schemas = first?.otherSchemas ?? 0;
      const inSchemas = schemas === 0 ? '' : ` The same applies to ${counted(schemas, 'other schema')}.`;
      if (others.length === 0) return `${text}${inSchemas}`;
      const names = listed(
        others.map(({ index }) => (index.schemas === undefined ? indexId(index) : index.entryId)),
        SHOWN_NAMES,
      );
      return `${text}${inSchemas} The same applies to ${counted(others.length, 'other index')}: ${names}.`;
    }),
    where,
  );
}

/** A warning for each session that was terminated, with the builds that it blocked. */
export function terminatedWarnings(indexes: readonly IndexReport[]): string[] {
  const blocked = indexes.flatMap((index) =>
    index.terminated === null ? [] : [{ session: index.terminated, id: reportId(index) }],
  );
  const bySession = Map.groupBy(blocked, ({ session }) => session);
  return limited(
    [...bySession].map(
      ([session, builds]) =>
        `Terminated a session that blocked a build: ${shortened(oneLine(session), LONGEST_WARNING)} (for ${listed(
          builds.map(({ id }) => id),
          SHOWN_NAMES,
        )}).`,
    ),
    'The report lists them for each index (terminated).',
  );
}

/** The first warnings of a kind, and a sentence that counts the others. */
function limited(warnings: readonly string[], where: string): string[] {
  if (warnings.length <= SHOWN_WARNINGS) return [...warnings];
  const shown = warnings.slice(0, SHOWN_WARNINGS - 1);
  return [...shown, `And ${counted(warnings.length - shown.length, 'more warning')} of this kind. ${where}`];
}
