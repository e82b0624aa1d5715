import { type CompiledIndex, indexId, tableId } from '../shared/registry.ts';
import { withForeignPartitions, withReplacements, withUntrustedCode } from './build-decisions.ts';
import { type CatalogEntry, readCatalog } from './catalog.ts';
import type { Client } from './client.ts';
import { compareDefinitions, type Match } from './compare-definitions.ts';
import { examineConstraints } from './examine-constraints.ts';
import { type Examined, type ExaminedIndex, NOTHING_FOUND } from './examined-index.ts';
import { indexKey } from './identifiers.ts';
import { isSameDefinition } from './index-definition.ts';
import { readLeftovers } from './leftovers.ts';
import { hasConstraint } from './table-constraints.ts';
import { readCandidates } from './table-indexes.ts';
import { readUntrustedCode } from './untrusted-code.ts';

/**
 * What an examination is for. `work`: only whether entries need a build. An index that is valid needs none, whatever its
 * definition is, unless `onDrift` is `rebuild`: so that definition is not read, and its state is `present`.
 */
export type Purpose = 'everything' | 'work';

/**
 * Examines the state of registry entries. The number of queries does not depend on the number of entries, and it does not wait
 * long for locks of other sessions.
 */
export async function examine(
  client: Client,
  indexes: readonly CompiledIndex[],
  purpose: Purpose = 'everything',
): Promise<Examined[]> {
  const plain = await examineIndexes(
    client,
    indexes.filter((index) => !hasConstraint(index)),
    purpose,
  );
  const examined = [...plain, ...(await examineConstraints(client, indexes.filter(hasConstraint)))];
  const byKey = new Map(examined.map((one) => [indexKey(one.index), one]));
  return indexes.flatMap((index) => byKey.get(indexKey(index)) ?? []);
}

async function examineIndexes(
  client: Client,
  indexes: readonly CompiledIndex[],
  purpose: Purpose,
): Promise<Examined[]> {
  if (indexes.length === 0) return [];
  const entries = new Map((await readCatalog(client, indexes)).map((entry) => [indexKey(entry), entry]));
  const leftovers = await readLeftovers(client, indexes);
  const isDone = (index: CompiledIndex) =>
    index.retired !== undefined ||
    (purpose === 'work' && index.onDrift === 'report' && hasIndex(entries.get(indexKey(index)), index, true));
  const open = await examineOpen(
    client,
    indexes.filter((index) => !isDone(index)),
    entries,
  );
  return indexes.map((index): Examined => {
    const key = indexKey(index);
    const entry = entries.get(key);
    const state = index.retired === undefined ? 'present' : entry?.table === index.table ? 'kept' : 'retired';
    const found = open.get(key) ?? { ...NOTHING_FOUND, index, entry, state };
    return { ...found, hasLeftover: leftovers.has(key), constraint: null };
  });
}

/** The server refused the definition for another reason than a missing column or function, which only a build shows. */
function notRead(index: CompiledIndex): string {
  return (
    `Index ${indexId(index)} on ${tableId(index)} is not compared with the registry, only its name: the server refused to read ` +
    'its definition. To see why, run the statement of its entry with another name of the index, on a database for tests.'
  );
}

/** Whether a relation is an index of the entry's table. */
function hasIndex(found: CatalogEntry | undefined, index: CompiledIndex, valid: boolean): boolean {
  return found?.kind === 'index' && found.table === index.table && found.valid === valid;
}

async function examineOpen(
  client: Client,
  indexes: readonly CompiledIndex[],
  entries: ReadonlyMap<string, CatalogEntry>,
): Promise<Map<string, ExaminedIndex>> {
  if (indexes.length === 0) return new Map();
  const untrusted = await readUntrustedCode(client, indexes);
  const invalid = indexes.filter((index) => hasIndex(entries.get(indexKey(index)), index, false));
  const matches = await compareDefinitions(client, indexes, {
    untrusted,
    invalid: new Set(invalid.map(indexKey)),
    candidates: await readCandidates(client, indexes),
  });
  const states = indexes.flatMap((index) => {
    const key = indexKey(index);
    const match = matches.get(key);
    return match === undefined ? [] : stateOf(index, match, entries.get(key));
  });
  const normalized = new Map(
    [...matches].flatMap(([key, match]) =>
      match.normalized === undefined ? [] : [[key, match.normalized] as const],
    ),
  );
  const replaced = await withReplacements(client, states, normalized);
  const buildable = await withUntrustedCode(client, replaced, untrusted);
  const found = await withForeignPartitions(client, buildable);
  return new Map(found.map((one) => [indexKey(one.index), one]));
}

function stateOf(index: CompiledIndex, match: Match, entry: CatalogEntry | undefined): ExaminedIndex {
  const { wanted, own, ownDefinition, same, locked, notComparable: notCompared } = match;
  const examined = { ...NOTHING_FOUND, index, entry, locked, notCompared };
  if (own !== undefined) {
    // If one of the definitions could not be read, the name decides.
    if (wanted === undefined || ownDefinition === undefined)
      return { ...examined, state: 'present', notCompared: notCompared ?? (locked ? null : notRead(index)) };
    return wanted !== null && isSameDefinition(wanted, ownDefinition)
      ? { ...examined, state: 'present' }
      : { ...examined, state: 'drifted', detail: ownDefinition.text };
  }
  if (same !== undefined)
    return { ...examined, state: 'equivalent', detail: same.name, otherIsAttached: same.attached };
  return { ...examined, state: hasIndex(entry, index, false) ? 'invalid' : 'missing' };
}
