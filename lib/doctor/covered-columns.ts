import { tableKey } from '../../lambdas/postgres/identifiers.ts';
import type { LiveIndex } from '../../lambdas/postgres/live-indexes.ts';
import type { LiveForeignKey } from '../../lambdas/postgres/live-tables.ts';
import type { LiveDatabase } from './live-database.ts';

/** Which columns of each table an index starts with, so that look-ups by them need not read the table. */
export class CoveredColumns {
  readonly #byTable: ReadonlyMap<string, readonly LiveIndex[]>;
  readonly #live: LiveDatabase;
  readonly #tenantColumn: string | null;

  /** @param tenantColumn an index that starts with it and continues with the columns covers them, as in `lint` */
  constructor(live: LiveDatabase, tenantColumn: string | null) {
    this.#live = live;
    this.#tenantColumn = tenantColumn;
    // The index of a partitioned table is invalid until all its partitions have theirs. Each of those is used already.
    this.#byTable = Map.groupBy(
      live.indexes.filter(({ valid, partitioned }) => valid || partitioned),
      tableKey,
    );
  }

  /** The indexes that serve a look-up by columns, in any order. */
  covering({ columns, ...table }: Pick<LiveForeignKey, 'schema' | 'table' | 'columns'>): LiveIndex[] {
    return (this.#byTable.get(tableKey(table)) ?? []).filter((index) => this.#covers(index, columns));
  }

  #covers(index: LiveIndex, columns: readonly string[]): boolean {
    if (index.method !== 'btree' && !(index.method === 'hash' && columns.length === 1)) return false;
    if (index.partial && !this.#omitsOnlyNulls(index, columns)) return false;
    const skip = index.keys[0] === this.#tenantColumn && !columns.includes(index.keys[0] ?? '') ? 1 : 0;
    return [0, skip].some((from) => {
      const start = index.keys.slice(from, from + columns.length);
      return start.length === columns.length && columns.every((column) => start.includes(column));
    });
  }

  /** Whether the predicate is only that one of the columns has a value: a look-up never searches for null. */
  #omitsOnlyNulls(index: LiveIndex, columns: readonly string[]): boolean {
    const { predicate = '' } = this.#live.texts.get(index.oid) ?? {};
    const [, column] = /^\((\S+) IS NOT NULL\)$/.exec(predicate) ?? [];
    if (column === undefined) return false;
    return columns.includes(column.startsWith('"') ? column.slice(1, -1).replaceAll('""', '"') : column);
  }
}
