import type { CompiledIndex } from '../shared/registry.ts';
import type { Table } from './identifiers.ts';

/** One build of a plan. */
export interface PlannedBuild {
  index: CompiledIndex;
  /** See build-item.ts. */
  item: string;
  /** The index's table, or a partition of it. */
  table: Table;
  /** @default 0 */
  tableBytes?: number;
  /** Plan it at most once in a deploy. @default false */
  onlyOnce?: boolean;
  /**
   * It can be in a batch: an index of an entry with `schemas`, on a small table that is not partitioned. See batches.ts.
   * @default false
   */
  isSmall?: boolean;
}
