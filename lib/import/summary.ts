import type { Imported } from './entries.ts';
import type { NotTaken } from './source.ts';

/** What an import took and what it did not, for people. */
export function summaryOf(imported: Imported, taken: number, kept: readonly NotTaken[]): string {
  const { notTaken, constraints, dropped, parts } = imported;
  const totals = [
    `${taken} taken over`,
    ...(kept.length > 0 ? [`${kept.length} in the registry already`] : []),
    `${constraints} left to their constraints`,
    ...(parts > 0 ? [`${parts} left to their partitioned tables`] : []),
    ...(dropped > 0 ? [`${dropped} dropped again later`] : []),
    `${notTaken.length} not taken over`,
  ];
  return [
    `Indexes: ${totals.join(', ')}`,
    ...section('In the registry already, and left as they are:', kept),
    ...section('Not taken over:', notTaken),
    '',
  ].join('\n');
}

function section(title: string, items: readonly NotTaken[]): string[] {
  if (items.length === 0) return [];
  return [
    title,
    ...items.map(
      ({ file, line, what, reason }) => `  ${line === null ? file : `${file}:${line}`}: ${what}: ${reason}`,
    ),
  ];
}
