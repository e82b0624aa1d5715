import {
  describeAttempts,
  type FailureGroup,
  firstNames,
  groupFailures,
  groupLines,
  sizeOf,
} from '../../../lambdas/shared/failure-groups.ts';
import { humanDuration, humanSize } from '../../../lambdas/shared/human-units.ts';
import { cannotBeBuilt, onMissingTables } from '../../../lambdas/shared/planned-work.ts';
import { countOf, describeSchemas, reportId, reportTable } from '../../../lambdas/shared/report-names.ts';
import type { IndexReport, IndexStatus, Report } from '../../../lambdas/shared/report-schema.ts';
import { counted, listed, shortened } from '../../../lambdas/shared/text.ts';
import { fillTo, paint, plain, widthOf } from '../terminal/styled-text.ts';

const MOST_ROWS = 30;
const MOST_NAMES = 10;
/** Lines of the list of failed indexes, its heading included. */
const MOST_FAILED_LINES = 20;
/** Characters of a message. */
const LONGEST_MESSAGE = 1_000;

const CREATED: readonly IndexStatus[] = ['built', 'repaired'];
const MISSING: readonly IndexStatus[] = ['missing', 'building'];

/** The failed indexes by cause, the critical ones first. */
export function failedSection(report: Report, colour: boolean): string[] {
  const failed = report.indexes.filter((index) => index.status === 'failed');
  if (failed.length === 0) return [];
  const mark = paint('✖', 'red', colour);
  const lines = groupLines(groupFailures(failed), { lines: MOST_FAILED_LINES - 1 }, (group) => [
    `${mark} ${headOf(group)}`,
    `  ${shortened(plain(group.message), LONGEST_MESSAGE)}`,
  ]);
  return ['Failed:', ...lines.map((line) => `  ${line}`)];
}

function headOf(group: FailureGroup): string {
  const { indexes, message, critical } = group;
  const [first] = indexes;
  const isEntry = first.schemas !== undefined;
  const sqlstate =
    group.sqlstate === null || message.includes(group.sqlstate) ? '' : `, SQLSTATE ${group.sqlstate}`;
  const attempts = describeAttempts(group);
  if (indexes.length > 1)
    return `${sizeOf(group)} (${attempts}${sqlstate}), the first: ${plain(firstNames(group))}`;
  const partitions = partitionsText(first);
  const on = partitions === '' ? '' : `, ${partitions}`;
  if (isEntry)
    return `${plain(firstNames(group))} (${critical > 0 ? 'critical' : 'non-critical'}${sqlstate})`;
  return `${plain(firstNames(group))} (${critical > 0 ? 'critical' : 'non-critical'}, ${attempts}${on}${sqlstate})`;
}

/** On a partitioned table: `built on 300 partitions`, `built on 298 partitions, failed on 2`. Otherwise empty. */
function partitionsText({ partitions }: IndexReport): string {
  if (partitions == null || partitions.built + partitions.failed === 0) return '';
  const { built, failed } = partitions;
  if (failed === 0) return `built on ${counted(built, 'partition')}`;
  if (built === 0) return `failed on ${counted(failed, 'partition')}`;
  return `built on ${counted(built, 'partition')}, failed on ${failed}`;
}

/** The built indexes, and the names of those that differ from the registry. */
export function builtSection(report: Report): string[] {
  const built = report.indexes.filter(
    (index) => CREATED.includes(index.status) || (index.schemas?.built ?? 0) > 0,
  );
  const missing = report.indexes.filter((index) => MISSING.includes(index.status));
  const drifted = report.indexes.filter((index) => index.status === 'drifted');
  // The longest builds come first, so that a cut list keeps them.
  const longest = built.toSorted((a, b) => (b.durationMs ?? 0) - (a.durationMs ?? 0));
  return [
    ...(built.length === 0
      ? []
      : ['Created:', ...table(longest.slice(0, MOST_ROWS)), ...more(built.length, 'created')]),
    ...(drifted.length === 0 ? [] : [`Existing with another definition: ${namesOf(drifted)}`]),
    ...servedSection(report),
    ...retiredSection(report),
    ...(missing.length === 0 ? [] : [`Remaining: ${namesOf(missing)}`]),
  ];
}

/** The retired indexes that this deploy has dropped, with the statements that bring them back. A warning says why others are kept. */
function retiredSection(report: Report): string[] {
  const dropped = report.indexes.filter(({ restoreStatement }) => restoreStatement != null);
  if (dropped.length === 0) return [];
  return [
    'Dropped, because they are retired (each with the statement that brings it back):',
    ...dropped
      .slice(0, MOST_ROWS)
      .flatMap((index) => [
        `  ${plain(reportId(index))} on ${plain(reportTable(index))}`,
        `    ${plain(index.restoreStatement ?? '')}`,
      ]),
    ...more(dropped.length, 'dropped'),
  ];
}

/** The entries for which an index under another name serves, such as that of a constraint, and this index. */
function servedSection(report: Report): string[] {
  const served = report.indexes.filter((index) => index.status === 'equivalent');
  if (served.length === 0) return [];
  const rows = served
    .slice(0, MOST_ROWS)
    .map((index) => [`  ${reportId(index)}`, `on ${reportTable(index)}`, `served by ${index.detail ?? ''}`]);
  return [
    'Not built, because an index with the same definition exists:',
    ...aligned(rows),
    ...more(served.length, 'served by another index'),
  ];
}

/** The indexes that a deploy would build, and those that cannot be built. */
export function planSection(report: Report, colour: boolean): string[] {
  const notPresent = report.indexes.filter((index) => MISSING.includes(index.status));
  const withoutTable = onMissingTables(report);
  if (notPresent.length + withoutTable.length === 0) return ['Every index exists.', ...servedSection(report)];
  const refused = cannotBeBuilt(report);
  const missing = notPresent.filter((index) => !refused.includes(index));
  const isPerSchema = missing.some(({ schemas }) => schemas !== undefined);
  const rows = missing
    .slice(0, MOST_ROWS)
    .map((index) => [
      `  ${reportId(index)}`,
      `on ${reportTable(index)}`,
      index.critical ? 'critical' : 'non-critical',
      ...(isPerSchema ? [schemasText(index)] : []),
      index.constraint === null
        ? ''
        : `${index.constraint.indexValid ? 'only adds' : 'with'} constraint ${index.constraint.name}`,
    ]);
  const lanes = new Set(missing.map(reportTable)).size;
  const count = missing.reduce((sum, index) => sum + countOf(index, 'remaining'), 0);
  return [
    ...(missing.length === 0
      ? []
      : [
          `A deploy would build ${counted(count, 'index')} on ${counted(lanes, 'table')}${isPerSchema ? ' of each schema' : ''}, one at a time on each table:`,
          ...aligned(rows),
          ...more(missing.length, 'to build'),
        ]),
    ...refused
      .slice(0, MOST_ROWS)
      .map((index) => `${paint('✖', 'red', colour)} ${plain(index.detail ?? '')}`),
    ...more(refused.length, 'that cannot be built'),
    ...(withoutTable.length === 0
      ? []
      : [
          `On tables that do not exist${report.migrations.pending.length > 0 ? ' yet' : ''}:`,
          ...aligned(
            withoutTable
              .slice(0, MOST_ROWS)
              .map((index) => [`  ${reportId(index)}`, `on ${reportTable(index)}`]),
          ),
          ...more(withoutTable.length, 'on such tables'),
        ]),
    ...servedSection(report),
  ];
}

function table(indexes: readonly IndexReport[]): string[] {
  return aligned(
    indexes.map((index) => [
      `  ${reportId(index)}`,
      `on ${reportTable(index)}`,
      index.durationMs === null ? '' : humanDuration(index.durationMs),
      index.sizeBytes === null ? '' : humanSize(index.sizeBytes),
      [
        index.status === 'repaired' && index.schemas === undefined ? 'repaired' : '',
        schemasText(index),
        index.constraint?.attached ? `constraint ${index.constraint.name}` : '',
        partitionsText(index),
        index.attempts > 1 ? counted(index.attempts, 'attempt') : '',
      ]
        .filter((note) => note !== '')
        .join(', '),
    ]),
  );
}

/** `4,998 of 5,000 schemas, 2 failed`. Empty for an index of one schema. */
function schemasText({ schemas }: IndexReport): string {
  return schemas === undefined ? '' : describeSchemas(schemas);
}

function aligned(rows: readonly (readonly string[])[]): string[] {
  const columns = (rows[0] ?? []).map((_cell, at) =>
    Math.max(...rows.map((cells) => widthOf(cells[at] ?? ''))),
  );
  return rows.map((cells) =>
    cells
      .map((cell, at) => fillTo(cell, columns[at] ?? 0))
      .join('  ')
      .trimEnd(),
  );
}

function more(count: number, what: string): string[] {
  return count > MOST_ROWS ? [`  and ${count - MOST_ROWS} more ${what}`] : [];
}

function namesOf(indexes: readonly IndexReport[]): string {
  return plain(listed(indexes.map(reportId), MOST_NAMES));
}
