import { qualified, quotedTable, quoteIdentifier, type Table } from '../../lambdas/postgres/identifiers.ts';
import type { LiveTable } from '../../lambdas/postgres/live-tables.ts';
import { humanSize } from '../../lambdas/shared/human-units.ts';
import { tableId } from '../../lambdas/shared/registry.ts';
import type { IndexEntry } from '../registry/define-indexes.ts';
import { entryOnColumns } from '../registry/entry-on-columns.ts';
import { CoveredColumns } from './covered-columns.ts';
import { type Confidence, type Finding, finding } from './finding.ts';
import type { LiveDatabase } from './live-database.ts';
import type { TenantColumn } from './tenant-column.ts';

/** Rows of a table from which on a missing index matters, and from which on it certainly does. */
const SMALL = 1000;
const LARGE = 10_000;

/** Whether someone has decided that columns of a table need no index. */
export type AcceptsColumns = (table: Table, columns: readonly string[]) => boolean;

interface MissingOptions {
  /** Null: the database has no tenants. */
  readonly tenantColumn: TenantColumn | null;
  readonly accepts: AcceptsColumns;
}

/** Finds foreign keys whose columns no index starts with, and tables with a tenant column without an index that starts with it. */
export function missingIndexes(live: LiveDatabase, { tenantColumn, accepts }: MissingOptions): Finding[] {
  const covered = new CoveredColumns(live, tenantColumn?.name ?? null);
  const tables = new Map(live.tables.map((table) => [quotedTable(table), table]));
  const proposals = new Proposals(live);
  const foreignKeys = live.foreignKeys.flatMap((key): Finding[] => {
    const table = tables.get(quotedTable(key));
    if (table === undefined || covered.covering(key).length > 0 || accepts(key, key.columns)) return [];
    const referenced = tableId(key.references);
    const on = key.columns.join(', ');
    const referencedTable = tables.get(quotedTable(key.references));
    return [
      finding({
        kind: 'foreign-key-without-index',
        ...{ schema: key.schema, table: key.table, columns: key.columns },
        evidence:
          `No index starts with the columns of the foreign key ${key.name}. Deletes from ${referenced}, and joins, read all ` +
          `of ${tableId(key)} (${sizeOf(table)}). PostgreSQL indexes only the referenced columns` +
          `${referencedTable === undefined ? '' : ` of ${referenced} (${sizeOf(referencedTable)})`}.`,
        ...proposals.for(table, key.columns, `${tableId(key)} by ${on}, which references ${referenced}`),
        confidence: confidenceOf(table),
        weight: table.rows ?? 0,
      }),
    ];
  });
  // Several keys of a table can have the same columns.
  const once = new Map(
    foreignKeys.map((one) => [JSON.stringify([one.schema, one.table, one.columns.toSorted()]), one]),
  );
  if (tenantColumn === null) return [...once.values()];
  const column = tenantColumn.name;
  const tenantTables = live.tables.flatMap((table): Finding[] => {
    if (table.partition || !table.columns.includes(column) || accepts(table, [column])) return [];
    if (covered.covering({ ...table, columns: [column] }).length > 0) return [];
    return [
      finding({
        kind: 'tenant-table-without-index',
        ...{ schema: table.schema, table: table.table, columns: [column] },
        evidence:
          `${tableId(table)} (${sizeOf(table)}) has the tenant column ${column}, and no index starts with it. A query for one ` +
          'tenant reads the rows of all of them.',
        ...proposals.for(table, [column], `${tableId(table)} by ${column}`),
        confidence: tenantColumn.certain ? confidenceOf(table) : atMostMedium(confidenceOf(table)),
        weight: table.rows ?? 0,
      }),
    ];
  });
  return [...once.values(), ...tenantTables];
}

function sizeOf({ rows, bytes }: LiveTable): string {
  return rows === null ? 'never analyzed' : `about ${Math.round(rows)} rows, ${humanSize(bytes)}`;
}

/** An index on a small table makes no difference yet. */
function confidenceOf({ rows }: LiveTable): Confidence {
  if (rows === null || rows < SMALL) return 'unknown';
  return rows < LARGE ? 'medium' : 'high';
}

function atMostMedium(confidence: Confidence): Confidence {
  return confidence === 'high' ? 'medium' : confidence;
}

/** Entries for missing indexes. The same columns get the same entry. */
class Proposals {
  readonly #names: ReadonlyMap<string, Set<string>>;
  readonly #entries = new Map<string, IndexEntry>();
  readonly #firstSchema: string | null;

  constructor(live: LiveDatabase) {
    this.#firstSchema = live.firstSchema;
    const named = [
      ...live.indexes,
      ...live.tables.map(({ schema, table }) => ({ schema, name: table })),
      ...(live.registry?.examined ?? []).map(({ index }) => index),
    ];
    this.#names = new Map(
      [...Map.groupBy(named, ({ schema }) => schema)].map(([schema, some]) => [
        schema,
        new Set(some.map(({ name }) => name)),
      ]),
    );
  }

  for(table: LiveTable, columns: readonly string[], description: string): Pick<Finding, 'entry' | 'fix'> {
    const key = JSON.stringify([table.schema, table.table, columns]);
    const entry =
      this.#entries.get(key) ??
      entryOnColumns(
        { table: { schema: table.schema, name: table.table }, columns, description },
        { names: this.#names.get(table.schema) ?? new Set(), firstSchema: this.#firstSchema },
      );
    this.#entries.set(key, entry);
    return { entry, fix: fixOf(table, columns, entry) };
  }
}

function fixOf(table: LiveTable, columns: readonly string[], { name, sql }: IndexEntry): string {
  if (table.kind === 'partitioned table') {
    // PostgreSQL has no statement for it.
    return `Add the entry to the registry, so that the deploy builds the index concurrently on each partition: ${sql}`;
  }
  const on = `${quotedTable(table)} (${columns.map(quoteIdentifier).join(', ')})`;
  return `CREATE INDEX CONCURRENTLY IF NOT EXISTS ${quoteIdentifier(name)} ON ${on};`;
}

/** The statement that rebuilds an index. */
export function reindexStatement(index: { readonly schema: string; readonly name: string }): string {
  return `REINDEX INDEX CONCURRENTLY ${qualified(index)};`;
}
