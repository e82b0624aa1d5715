import { type CompiledIndex, type CompiledRegistry, findIndex, indexId, tableId } from './registry.ts';

/*
 * What a lane holds, what executions pass on and what the ledger is kept by: the id of an index, or, for an index on a
 * partitioned table, the part of it that one partition needs: "INDEX @ PARTITION".
 */

const AT = ' @ ';

/**
 * Another index whose items could be taken for this one's: of the same id (`a.b` in public and `b` in a), or of an id that
 * this one's begins with, as a part of it would. The registry refuses such a pair, so that every item is one index's.
 */
export function mistakenFor<Index extends { schema: string; name: string }>(
  index: Index,
  others: readonly Index[],
): Index | undefined {
  const id = `${indexId(index)}${AT}`;
  return others.find((other) => other !== index && id.startsWith(`${indexId(other)}${AT}`));
}

/** The item for one partition of an index's table. */
export function partitionItem(index: CompiledIndex, partition: { schema: string; table: string }): string {
  return `${indexId(index)}${AT}${tableId(partition)}`;
}

/** An entry, and the partition of its table (its `tableId`) that an item is about. */
export interface ItemOwner {
  index: CompiledIndex;
  partition: string | null;
}

/** The entry that an item belongs to. Undefined: none fits. */
export function findOwner(registry: CompiledRegistry, item: string): ItemOwner | undefined {
  const whole = registry.find((index) => indexId(index) === item);
  if (whole !== undefined) return { index: whole, partition: null };
  const owner = registry.find((index) => item.startsWith(`${indexId(index)}${AT}`));
  if (owner === undefined) return undefined;
  return { index: owner, partition: item.slice(indexId(owner).length + AT.length) };
}

/**
 * The entry that an item belongs to.
 * @throws BadInput where no entry fits
 */
export function parseItem(registry: CompiledRegistry, item: string): ItemOwner {
  return findOwner(registry, item) ?? { index: findIndex(registry, item), partition: null };
}
