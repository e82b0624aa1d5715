import { withReplacements, withUntrustedCode } from './build-decisions.ts';
import { readCatalog } from './catalog.ts';
import type { Client } from './client.ts';
import { type ConstraintState, readConstraintStates } from './constraint-state.ts';
import { type Examined, type ExaminedIndex, NOTHING_FOUND } from './examined-index.ts';
import { indexKey } from './identifiers.ts';
import { readDefinitions } from './index-definition.ts';
import { readLeftovers } from './leftovers.ts';
import type { ConstraintEntry } from './table-constraints.ts';
import { readUnlocked } from './unlocked-tables.ts';
import { readUntrustedCode } from './untrusted-code.ts';

/** An entry, its state, and the same entry with the name that its index has or gets. */
interface Constraint {
  readonly entry: ConstraintEntry;
  readonly own: ConstraintEntry;
  readonly found: ConstraintState;
}

/**
 * Examines entries with a constraint. Their definitions are compared in the catalog, because a constraint has only columns: see
 * constraint-state.ts.
 */
export async function examineConstraints(
  client: Client,
  entries: readonly ConstraintEntry[],
): Promise<Examined[]> {
  if (entries.length === 0) return [];
  const states = await readConstraintStates(client, entries);
  const all = entries.flatMap((entry): Constraint[] => {
    const found = states.get(indexKey(entry));
    return found === undefined ? [] : [{ entry, found, own: { ...entry, name: found.indexName } }];
  });
  const named = all.map(({ own }) => own);
  const relations = new Map((await readCatalog(client, named)).map((one) => [indexKey(one), one]));
  const leftovers = await readLeftovers(client, [...named, ...entries]);
  const details = await readDetails(client, all);
  const examined = all.map(({ own, found }): ExaminedIndex => {
    const state = found.state === 'attachable' ? 'missing' : found.state;
    return {
      ...{ ...NOTHING_FOUND, index: own, state, entry: relations.get(indexKey(own)) },
      ...{ detail: details.get(indexKey(own)) ?? null },
      ...{ notSwappable: found.obstacle, notBuildable: found.notBuildable },
    };
  });
  const toRepair = examined.filter((one) => one.state === 'invalid' && one.notBuildable === null);
  const repaired = new Map(
    (await withReplacements(client, toRepair, new Map())).map((one) => [one.index, one]),
  );
  const untrusted = await readUntrustedCode(client, entries);
  const reasons = all.flatMap(({ entry, own }) => {
    const reason = untrusted.get(indexKey(entry));
    return reason === undefined ? [] : [[indexKey(own), reason] as const];
  });
  const buildable = await withUntrustedCode(
    client,
    examined.map((one) => repaired.get(one.index) ?? one),
    new Map(reasons),
  );
  return buildable.flatMap((one, at) => {
    const { entry, own, found } = all[at] ?? {};
    if (entry === undefined || own === undefined) return [];
    const hasLeftover = leftovers.has(indexKey(own)) || leftovers.has(indexKey(entry));
    const attached = one.state === 'present';
    const constraint = { attached, indexValid: attached || found?.state === 'attachable' };
    return [{ ...one, index: entry, hasLeftover, constraint }];
  });
}

/** By `indexKey` of the index. */
async function readDetails(client: Client, all: readonly Constraint[]): Promise<Map<string, string>> {
  // The difference is in the index.
  const drifted = all.filter(({ found }) => found.state === 'drifted' && found.detail === null);
  const { rows } = await readUnlocked(
    client,
    drifted.map(({ own }) => own),
    async (some) => await readDefinitions(client, some),
  );
  const definitions = new Map(rows.map(({ index, definition }) => [indexKey(index), definition.text]));
  return new Map(
    all.flatMap(({ own, found }) => {
      const detail = found.detail ?? definitions.get(indexKey(own));
      return detail === undefined ? [] : [[indexKey(own), detail] as const];
    }),
  );
}
