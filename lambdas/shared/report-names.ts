import { indexId, tableId } from './registry.ts';
import type { IndexReport, ServiceReport } from './report-schema.ts';
import { listed } from './text.ts';

/*
 * Names of the elements of a report. An element for an entry with `schemas` is about many indexes, and has the name of the
 * entry, which an execution accepts too.
 */

/** Name of an index in messages and in the input of an execution. */
export function reportId(index: IndexReport): string {
  return index.schemas === undefined ? indexId(index) : index.name;
}

/** Name of its table in messages. */
export function reportTable(index: IndexReport): string {
  return index.schemas === undefined ? tableId(index) : index.table;
}

/** Number of indexes that an element of a report is about, or only of those with a result. */
export function countOf(
  { schemas }: IndexReport,
  which: 'total' | 'built' | 'present' | 'failed' | 'remaining' = 'total',
): number {
  return schemas === undefined ? 1 : schemas[which];
}

/** The schemas of an entry: `4,998 of 5,000 schemas, 2 failed`. */
export function describeSchemas({ total, built, present, failed, remaining }: SchemasReport): string {
  const parts = [`${grouped(built + present)} of ${grouped(total)} ${total === 1 ? 'schema' : 'schemas'}`];
  if (failed > 0) parts.push(`${grouped(failed)} failed`);
  if (remaining > 0) parts.push(`${grouped(remaining)} remaining`);
  return parts.join(', ');
}

type SchemasReport = NonNullable<IndexReport['schemas']>;

/** Names of schemas in a line. */
const MOST_NAMES = 3;

/** The first failed schemas: `tenant_7, tenant_9 and 3 more`. */
export function failedSchemas({ failed, failedSchemas: names }: SchemasReport): string {
  const shown = listed(names.slice(0, MOST_NAMES));
  const more = failed - Math.min(names.length, MOST_NAMES);
  return more > 0 ? `${shown} and ${grouped(more)} more` : shown;
}

/** The revisions that have changed, or should have: `api api:41 → api:42`. */
export function changedRevisions(services: readonly ServiceReport[]): string[] {
  return services.flatMap(({ name, revision }) => {
    if (revision === undefined) return [];
    const { from, to, requested } = revision;
    const missed = requested === undefined ? '' : ` (requested: ${requested})`;
    const change = from === to ? `still ${to}` : `${from ?? 'unknown'} → ${to ?? 'not running'}`;
    return [`${name} ${change}${missed}`];
  });
}

/** The revisions that a deploy would change, in a plan: `api api:41 → api:42`. */
export function plannedRevisions(services: readonly ServiceReport[]): string[] {
  return services.flatMap(({ name, revision }) =>
    revision?.requested === undefined ? [] : [`${name} ${revision.from} → ${revision.requested}`],
  );
}

/** A count with separators: `100,000`. */
export function grouped(count: number): string {
  return count.toLocaleString('en-US');
}
