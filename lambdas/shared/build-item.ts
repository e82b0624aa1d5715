import { BadInput } from './errors.ts';
import {
  type CompiledIndex,
  type CompiledRegistry,
  entryId,
  indexId,
  indexOfId,
  tableId,
} from './registry.ts';
import { listed } from './text.ts';
import { quoted } from './visible-text.ts';

/*
 * An item is one unit of work in lanes, executions and the ledger. Its text is the index's id. For an index on a partitioned
 * table, the work on one partition is an item of its own: "INDEX @ PARTITION".
 */

const AT = ' @ ';

/**
 * Finds another index whose items could be confused with those of this index: both have the same id (`a.b` in public and `b`
 * in a), or this id begins with the other's as its partition items do. The registry refuses such a pair.
 */
export function confusableWith<Index extends { schema: string; name: string }>(
  index: Index,
  others: readonly Index[],
): Index | undefined {
  const id = `${indexId(index)}${AT}`;
  return others.find((other) => other !== index && id.startsWith(`${indexId(other)}${AT}`));
}

/** The ids of indexes with which an index could be confused: its own, and each that it continues as a partition's item does. */
export function confusableIds(index: { schema: string; name: string }): string[] {
  const id = indexId(index);
  const ids = [id];
  for (let at = id.indexOf(AT); at !== -1; at = id.indexOf(AT, at + 1)) ids.push(id.slice(0, at));
  return ids;
}

/** The item for one partition of an index's table. */
export function partitionItem(index: CompiledIndex, partition: { schema: string; table: string }): string {
  return `${indexId(index)}${AT}${tableId(partition)}`;
}

/** The parts of an item. */
interface Item {
  index: CompiledIndex;
  /** `tableId` of the partition. Null: the item is the whole index. */
  partition: string | null;
}

/**
 * Finds the index of an item. Its schema comes from the item: see `indexOfId`. Undefined: no entry of the registry can have
 * this index.
 */
export function findItem(registry: CompiledRegistry, item: string): Item | undefined {
  const exact = registry.find((entry) => entryId(entry) === item);
  if (exact === undefined) {
    // A name can contain the separator. A registry in which two readings are possible is refused.
    for (let at = item.indexOf(AT); at !== -1; at = item.indexOf(AT, at + 1)) {
      const index = indexOfId(registry, item.slice(0, at));
      if (index !== undefined) return { index, partition: item.slice(at + AT.length) };
    }
  }
  const whole = indexOfId(registry, item);
  return whole === undefined ? undefined : { index: whole, partition: null };
}

/**
 * The index of an item.
 * @throws BadInput when the registry has no entry for it
 */
export function parseItem(registry: CompiledRegistry, item: string): Item {
  const found = findItem(registry, item);
  if (found !== undefined) return found;
  throw new BadInput(
    `Index ${quoted(item)} is not in the registry. Valid names: ${listed(registry.map(entryId))}.`,
  );
}
