import { identifierList, indexKey } from '../postgres/identifiers.ts';
import type { SearchPath } from '../postgres/search-path.ts';
import { confusableIds, confusableWith } from '../shared/build-item.ts';
import { Refused } from '../shared/errors.ts';
import { type CompiledIndex, indexId } from '../shared/registry.ts';
import { counted } from '../shared/text.ts';
import { quoted, visible } from '../shared/visible-text.ts';

/** Pairs of entries in a message. */
const MOST_PAIRS = 5;

/**
 * Refuses entries that this database cannot tell apart. Synth has compared those that name their schema; only the database knows
 * the schema of the others.
 * @param indexes of the whole registry
 * @throws Refused when two entries are the same index, or executions cannot distinguish two indexes; it names both
 */
export function checkEntries(indexes: readonly CompiledIndex[], path: SearchPath): void {
  const pairs = [...sameIndexes(indexes), ...confusableIndexes(indexes)];
  if (pairs.length === 0) return;
  const more = pairs.length - MOST_PAIRS;
  throw new Refused(
    [
      ...pairs.slice(0, MOST_PAIRS),
      ...(more > 0 ? [`And ${counted(more, 'more pair')} of entries.`] : []),
      `Names without a schema are looked up in the search path ${visible(identifierList(path.schemas))} (of the ${path.source}).`,
    ].join(' '),
  );
}

function sameIndexes(indexes: readonly CompiledIndex[]): string[] {
  return [...Map.groupBy(indexes, indexKey).values()].flatMap(([first, ...others]) =>
    others.map(
      (other) =>
        `The entries ${quoted(first?.entryId ?? '')} and ${quoted(other.entryId)} of the registry are the same index of this database, ` +
        `${quoted(other.name)} in the schema ${quoted(other.schema)}. Remove one of them, or write another schema in its statement.`,
    ),
  );
}

/** Indexes whose ids can be read as one another: a name or a schema contains a dot or " @ ". */
function confusableIndexes(indexes: readonly CompiledIndex[]): string[] {
  const byId = Map.groupBy(indexes, indexId);
  const byEntry = new Map(indexes.map((index) => [index.entryId, index]));
  return indexes.flatMap((index) => {
    const candidates = confusableIds(index).flatMap((id) => byId.get(id)?.slice(0, 2) ?? []);
    const other = confusableWith(index, candidates) ?? otherReading(index, byEntry);
    if (other === undefined || indexKey(other) === indexKey(index)) return [];
    return [
      `Executions and reports cannot distinguish the index ${quoted(index.name)} in the schema ${quoted(index.schema)} from ` +
        `the index ${quoted(other.name)} of the entry ${quoted(other.entryId)}. Rename one of them, or write its schema in its statement.`,
    ];
  });
}

/** The other entry that an id can mean: see `indexOfId`. */
function otherReading(
  index: CompiledIndex,
  byEntry: ReadonlyMap<string, CompiledIndex>,
): CompiledIndex | undefined {
  const id = indexId(index);
  const exact = byEntry.get(id);
  if (exact !== undefined && exact.entryId !== index.entryId) return exact;
  for (let dot = id.indexOf('.', 1); dot !== -1; dot = id.indexOf('.', dot + 1)) {
    const other = byEntry.get(id.slice(dot + 1));
    if (other !== undefined && other.entryId === other.name && other.name !== index.name) return other;
  }
  return undefined;
}
