import type { Client } from './client.ts';
import type { ExaminedIndex } from './examined-index.ts';
import { describeForeignPartitions, readForeignPartitions } from './foreign-partitions.ts';
import { indexKey, type Table, tableKey } from './identifiers.ts';
import type { Definition } from './index-definition.ts';
import { type IndexProperties, joinObstacles, readPropertiesOf } from './index-properties.ts';
import { readPartitionTrees } from './partition-tree.ts';
import {
  definitionOfReplacement,
  describeUnrepairable,
  hasPropertiesToKeep,
  whyNotReplaceable,
} from './replacement.ts';
import { DEPENDENT_OBJECTS_STILL_EXIST, FEATURE_NOT_SUPPORTED, INSUFFICIENT_PRIVILEGE } from './sqlstate.ts';
import { readUnlocked } from './unlocked-tables.ts';
import { readUntrustedCode } from './untrusted-code.ts';

/*
 * How an index that is missing, invalid or drifted is built, and whether it can be. Each function looks at all indexes at once.
 */

/**
 * Decides about drifted and invalid indexes whether they can be replaced, and whether a replacement must be swapped in.
 * @param normalized definitions of the entries, by `indexKey`
 */
export async function withReplacements(
  client: Client,
  all: readonly ExaminedIndex[],
  normalized: ReadonlyMap<string, Definition>,
): Promise<ExaminedIndex[]> {
  const old = all.filter(({ state }) => state === 'drifted' || state === 'invalid');
  if (old.length === 0) return [...all];
  const { rows } = await readUnlocked(
    client,
    old.map(({ index }) => index),
    async (some) => await readPropertiesOf(client, some),
  );
  const properties = new Map(rows.map((row) => [indexKey(row), row]));
  const found: ExaminedIndex[] = [];
  for (const examined of all) {
    const key = indexKey(examined.index);
    const { state } = examined;
    found.push(
      state === 'drifted' || state === 'invalid'
        ? await withReplacement(client, examined, normalized.get(key), properties.get(key))
        : examined,
    );
  }
  return found;
}

/** @param old undefined: its table is locked */
async function withReplacement(
  client: Client,
  examined: ExaminedIndex,
  wanted: Definition | undefined,
  old: IndexProperties | undefined,
): Promise<ExaminedIndex> {
  const { index, state } = examined;
  // As for a definition that cannot be read, the name decides.
  if (old === undefined)
    return state === 'drifted' ? { ...examined, state: 'present', detail: null, locked: true } : examined;
  const definition = wanted === undefined ? index.definition : definitionOfReplacement(index, wanted, old);
  if (state === 'drifted') {
    const notSwappable =
      wanted === undefined
        ? joinObstacles(old.obstacles)
        : await whyNotReplaceable(client, index, wanted, old);
    const isReplaced = index.onDrift === 'rebuild' && notSwappable === null;
    return { ...examined, notSwappable, replacement: isReplaced ? { definition, repairs: false } : null };
  }
  // The index of a partitioned table consists of its partitions' indexes, and an attached index is rebuilt in its place.
  if (old.partitioned || old.attached) return examined;
  const obstacle = joinObstacles(old.obstacles);
  if (obstacle !== null) {
    const message = describeUnrepairable(index, obstacle);
    return { ...examined, notBuildable: { sqlstate: DEPENDENT_OBJECTS_STILL_EXIST, message } };
  }
  return hasPropertiesToKeep(index, wanted, old)
    ? { ...examined, replacement: { definition, repairs: true } }
    : examined;
}

/**
 * Finds the indexes that must not be built, because they may use code of untrusted roles.
 * @param untrusted why the definition of an entry must not be built, by `indexKey`
 */
export async function withUntrustedCode(
  client: Client,
  all: readonly ExaminedIndex[],
  untrusted: ReadonlyMap<string, string>,
): Promise<ExaminedIndex[]> {
  // The owner of the table can falsify the normalized definition with which a replacement is built.
  const replacements = await readUntrustedCode(
    client,
    all.flatMap(({ index, replacement }) =>
      replacement === null || untrusted.has(indexKey(index)) ? [] : { ...index, ...replacement },
    ),
  );
  return all.map((examined) => {
    const { index, state, replacement } = examined;
    if (replacement === null && state !== 'missing' && state !== 'invalid') return examined;
    const message = untrusted.get(indexKey(index)) ?? replacements.get(indexKey(index));
    return message === undefined
      ? examined
      : { ...examined, replacement: null, notBuildable: { sqlstate: INSUFFICIENT_PRIVILEGE, message } };
  });
}

/** Finds the indexes that cannot be built, because a partition of their table is a foreign table. */
export async function withForeignPartitions(
  client: Client,
  all: readonly ExaminedIndex[],
): Promise<ExaminedIndex[]> {
  const toBuild = all.filter(({ state }) => state === 'missing' || state === 'invalid');
  const partitions = await readForeignPartitions(
    client,
    toBuild.map(({ index }) => index),
  );
  const partitionsOf = ({ index }: ExaminedIndex): readonly Table[] => partitions.get(tableKey(index)) ?? [];
  const concerned = new Set(toBuild.filter((one) => partitionsOf(one).length > 0));
  if (concerned.size === 0) return [...all];
  const trees = await readPartitionTrees(
    client,
    [...concerned].map(({ index }) => index),
  );
  return all.map((examined) => {
    if (!concerned.has(examined)) return examined;
    const { index } = examined;
    const message = describeForeignPartitions(
      index,
      partitionsOf(examined),
      trees.get(indexKey(index)) ?? [],
    );
    return { ...examined, notBuildable: { sqlstate: FEATURE_NOT_SUPPORTED, message } };
  });
}
