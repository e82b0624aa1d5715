import type { Place } from '../sql/places.ts';
import type { RegistryPlaces } from './entry-places.ts';
import type { RegistryProblem } from './registry-error.ts';

/** An entry of a registry. */
export interface EntryPosition {
  /** Counted from 0. */
  readonly position: number;
  /** The entry's name in messages: `entry 3 "idx_deals_tenant"`. */
  readonly label: string;
}

/** A problem whose place in the file is not known yet. */
export interface UnplacedProblem extends Pick<RegistryProblem, 'rule' | 'entry' | 'field' | 'message'> {
  /** Of the entry. Null: the problem is beside the entries. */
  readonly position: number | null;
  /** The wrong character of the entry's statement. Undefined: the field as a whole. */
  readonly offset: number | undefined;
}

type FoundProblem = Pick<RegistryProblem, 'rule' | 'field' | 'message'>;

/** A problem of an entry. @param offset the wrong character of its statement @default the field */
export function problemOf(
  { position, label }: EntryPosition,
  { rule, field, message }: FoundProblem,
  offset?: number,
): UnplacedProblem {
  return { rule, field, message, entry: label, position, offset };
}

/** A problem of a field beside the entries. */
export function problemOfOption({ rule, field, message }: FoundProblem): UnplacedProblem {
  return { rule, field, message, entry: '', position: null, offset: undefined };
}

/** The file contains no list of entries. */
export const NO_LIST: UnplacedProblem = problemOfOption({
  rule: 'registry-file',
  field: '',
  message:
    'it must contain a list of entries; write export default defineIndexes([{ name, sql, description }]) or a JSON array',
});

export function withPlace(problem: UnplacedProblem, file: string, places: RegistryPlaces): RegistryProblem {
  const { rule, field, message, entry } = problem;
  return { rule, field, message, file, ...placeOf(problem, places), entry };
}

function placeOf({ position, field, offset }: UnplacedProblem, places: RegistryPlaces): Place {
  if (position === null) return field === '' ? places.list : places.option(field);
  const ofEntry = places.of(position);
  if (offset !== undefined) return ofEntry.inSql(offset);
  return field === '' ? ofEntry.entry : ofEntry.field(field);
}
