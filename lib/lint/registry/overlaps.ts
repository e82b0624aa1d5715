import { entryId } from '../../../lambdas/shared/registry.ts';
import type { KeyShape } from '../../registry/index-shape.ts';
import type { EntryShape, EntryWarning } from './entry-rule.ts';
import { Prefixes } from './prefixes.ts';

/** Reports indexes that another index of the table duplicates or makes redundant. */
export function overlaps(shapes: readonly EntryShape[]): EntryWarning[] {
  const tables = Map.groupBy(shapes, (shape) => shape.table);
  return [...tables.values()].flatMap((table) => [...duplicates(table), ...redundancies(table)]);
}

function duplicates(table: readonly EntryShape[]): EntryWarning[] {
  return [...Map.groupBy(table, (shape) => shape.identity).values()].flatMap(([first, ...others]) =>
    others.flatMap(({ entry }): EntryWarning[] => {
      // Two entries with the same name break the rule duplicate-name.
      if (first === undefined || entry.index.name === first.entry.index.name) return [];
      const message =
        `${first.entry.label} defines the same index under another name, and every write updates both; ` +
        'remove one';
      return [{ rule: 'duplicate-index', entry, other: first.entry, message }];
    }),
  );
}

function redundancies(table: readonly EntryShape[]): EntryWarning[] {
  const prefixes = new Prefixes(table);
  return table.flatMap((shape, position): EntryWarning[] => {
    const other = prefixes.firstWith(
      shape,
      (candidate, at) =>
        candidate.identity !== shape.identity &&
        candidate.entry.index.name !== shape.entry.index.name &&
        replaces(candidate, shape) &&
        // If each can replace the other, only the later one is reported.
        (at < position || !replaces(shape, candidate)),
    );
    if (other === undefined) return [];
    const message =
      `"${entryId(other.entry.index)}" (${other.entry.label.split(' ', 2).join(' ')}) starts with the same columns, so ` +
      'the same queries can use it, and every write updates both; remove this entry, ' +
      "or give the reason to keep it: accept: { 'redundant-index': 'reason' }";
    return [{ rule: 'redundant-index', entry: shape.entry, message }];
  });
}

/** Whether every query that can use the shorter index can use the longer one, and nothing else needs the shorter one. */
function replaces(longer: EntryShape, shorter: EntryShape): boolean {
  if (shorter.unique || longer.method !== 'btree' || shorter.method !== 'btree') return false;
  if (longer.where !== shorter.where || longer.keys.length < shorter.keys.length) return false;
  const columns = [...longer.keys.map(({ column }) => column), ...longer.include];
  if (!shorter.include.every((column) => columns.includes(column))) return false;
  // PostgreSQL scans an index in both directions.
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
