import { indexId } from '../../../lambdas/shared/registry.ts';
import type { KeyShape } from '../../registry/index-shape.ts';
import type { ExaminedShape } from './examined-shape.ts';
import type { EntryWarning } from './warning.ts';

/** Indexes that are there twice: wholly, or as the beginning of another one. */
export function overlaps(shapes: readonly ExaminedShape[]): EntryWarning[] {
  const tables = Map.groupBy(shapes, (shape) => shape.table);
  return [...tables.values()].flatMap((table) => [...duplicates(table), ...redundancies(table)]);
}

function duplicates(table: readonly ExaminedShape[]): EntryWarning[] {
  return [...Map.groupBy(table, (shape) => shape.identity).values()].flatMap(([first, ...others]) =>
    others.flatMap(({ entry }): EntryWarning[] => {
      // Two entries of one name are an error of their own.
      if (first === undefined || entry.index.name === first.entry.index.name) return [];
      const message =
        `${first.entry.label} defines the same index under another name, and every write pays for both; ` +
        'remove one';
      return [{ rule: 'duplicate-index', entry, other: first.entry, message }];
    }),
  );
}

function redundancies(table: readonly ExaminedShape[]): EntryWarning[] {
  return table.flatMap((shape, position): EntryWarning[] => {
    const other = table.find(
      (candidate, at) =>
        candidate.identity !== shape.identity &&
        candidate.entry.index.name !== shape.entry.index.name &&
        serves(candidate, shape) &&
        // Of two that serve for one another, the later one is told.
        (at < position || !serves(shape, candidate)),
    );
    if (other === undefined) return [];
    const message =
      `"${indexId(other.entry.index)}" (${other.entry.label.split(' ', 2).join(' ')}) begins with its columns ` +
      'and serves the same queries, and every write pays for both; remove it, ' +
      "or say why it stays: accept: { 'redundant-index': 'reason' }";
    return [{ rule: 'redundant-index', entry: shape.entry, message }];
  });
}

/** Every query that the shorter index serves, the longer one serves as well; nothing else depends on the shorter one. */
function serves(longer: ExaminedShape, shorter: ExaminedShape): boolean {
  if (shorter.unique || longer.method !== 'btree' || shorter.method !== 'btree') return false;
  if (longer.where !== shorter.where || longer.keys.length < shorter.keys.length) return false;
  const columns = [...longer.keys.map(({ column }) => column), ...longer.include];
  if (!shorter.include.every((column) => columns.includes(column))) return false;
  // An index is read backwards as well as forwards.
  return [false, true].some((backwards) =>
    shorter.keys.every((key, position) => isSame(key, longer.keys[position], backwards)),
  );
}

function isSame(key: KeyShape, other: KeyShape | undefined, backwards: boolean): boolean {
  return (
    key.tree === other?.tree &&
    (key.descending === other.descending) !== backwards &&
    (key.nullsFirst === other.nullsFirst) !== backwards
  );
}
