import { oneLine } from '../../lambdas/shared/visible-text.ts';
import type { Skipped } from '../sources/sql-source.ts';
import type { Imported } from './import-sources.ts';

/**
 * What an import added and what it skipped, for people.
 * @param added number of entries that were added to the registry or printed
 * @param kept what the registry contained already
 */
export function summaryOf(imported: Imported, added: number, kept: readonly Skipped[]): string {
  const { notTaken, constraints, dropped, parts } = imported;
  const totals = [
    `${added} imported`,
    ...(kept.length > 0 ? [`${kept.length} already in the registry`] : []),
    `${constraints} of constraints`,
    ...(parts > 0 ? [`${parts} of partitions`] : []),
    ...(dropped > 0 ? [`${dropped} dropped later`] : []),
    `${notTaken.length} not imported`,
  ];
  return [
    `Indexes: ${totals.join(', ')}`,
    ...section('Already in the registry, and not changed:', kept),
    ...section('Not imported:', notTaken),
    '',
  ].join('\n');
}

function section(title: string, items: readonly Skipped[]): string[] {
  if (items.length === 0) return [];
  return [
    title,
    ...items.map(
      ({ file, line, what, reason }) =>
        `  ${oneLine(`${line === null ? file : `${file}:${line}`}: ${what}: ${reason}`)}`,
    ),
  ];
}
