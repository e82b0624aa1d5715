import { type CompiledIndex, type CompiledRegistry, findIndex, indexId, tableId } from './registry.ts';

/*
 * What a lane holds, what executions pass on and what the ledger is kept by: the id of an index, or, for an index on a
 * partitioned table, the part of it that one partition needs: "INDEX @ PARTITION".
 */

const AT = ' @ ';

/** The item for one partition of an index's table. */
export function partitionItem(index: CompiledIndex, partition: { schema: string; table: string }): string {
  return `${indexId(index)}${AT}${tableId(partition)}`;
}

/**
 * The entry that an item belongs to, and its partition (its `tableId`).
 * @throws BadInput where no entry fits
 */
export function parseItem(
  registry: CompiledRegistry,
  item: string,
): { index: CompiledIndex; partition: string | null } {
  // Names may hold anything, so the longest id that there is counts.
  const whole = registry.find((index) => indexId(index) === item);
  if (whole !== undefined) return { index: whole, partition: null };
  const owners = registry.filter((index) => item.startsWith(`${indexId(index)}${AT}`));
  const owner = owners.toSorted((a, b) => indexId(b).length - indexId(a).length)[0];
  if (owner === undefined) return { index: findIndex(registry, item), partition: null };
  return { index: owner, partition: item.slice(indexId(owner).length + AT.length) };
}
