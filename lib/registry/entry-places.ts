import { type Place, placesIn } from '../sql/places.ts';
import { textField } from './entry-fields.ts';
import type { RegistrySource, SourceValue } from './registry-source.ts';

/** The places of an entry in its file. An entry that code computes has the place of the code, as far as it is known. */
export interface EntryPlaces {
  readonly entry: Place;
  /** Place of a field, `critical`, or of a key in it, `accept.redundant-index`. A missing field has the entry's place. */
  readonly field: (path: string) => Place;
  /** Place of a character of the statement. A statement that code computes has the field's place. */
  readonly inSql: (offset: number) => Place;
}

export interface RegistryPlaces {
  /** The list of entries; line 1, column 1 if code computes it. */
  readonly list: Place;
  /** Place of a field beside the list, or of the list if it is unknown. */
  readonly option: (path: string) => Place;
  readonly of: (position: number) => EntryPlaces;
}

const START: Place = { line: 1, column: 1 };

/** The places of a registry whose file is unknown. */
export const NO_PLACES: RegistryPlaces = { list: START, option: () => START, of: () => samePlace(START) };

/**
 * Finds the entries of a registry in its file: by position if the file writes out the list, else by name.
 * @param entries the registry file's value.
 */
export function placesOf(
  text: string,
  { list, options, objects }: RegistrySource,
  entries: readonly unknown[],
): RegistryPlaces {
  const placeOf = placesIn(text);
  const elements = 'elements' in list ? list.elements : [];
  const listPlace = 'elements' in list ? placeOf(list.start) : START;
  const spread = elements.findIndex(({ isSpread }) => isSpread);
  const ordered = spread === -1 ? elements : elements.slice(0, spread);
  const names = entries.map((entry) => textField(entry, 'name'));
  const before = occurrencesBefore(names);
  const byName = Map.groupBy(
    objects.filter(({ fields }) => fields?.has('sql')),
    nameIn,
  );

  function of(position: number): EntryPlaces {
    const element = ordered[position];
    const object = element !== undefined && mayBe(element, names[position]) ? element : sameName(position);
    if (object?.fields !== undefined) return placesInObject(object, position);
    return samePlace(element === undefined ? listPlace : placeOf(element.start));
  }

  /** Of entries with the same name, the first in the list is the first in the file. */
  function sameName(position: number): SourceValue | undefined {
    const name = names[position];
    return name === undefined ? undefined : byName.get(name)?.[before[position] ?? 0];
  }

  function placesInObject({ start, fields }: SourceValue, position: number): EntryPlaces {
    const entry = placeOf(start);
    const sql = fields?.get('sql')?.value.text;
    const field = (path: string): Place => {
      const [name = '', ...inner] = path.split('.');
      const found = fields?.get(name);
      const key = found?.value.fields?.get(inner.join('.')) ?? found;
      return key === undefined ? entry : placeOf(key.start);
    };
    const inSql = (offset: number): Place => {
      const at = sql?.value === textField(entries[position], 'sql') ? sql?.offsetOf(offset) : undefined;
      return at === undefined ? field('sql') : placeOf(at);
    };
    return { entry, field, inSql };
  }

  const option = (path: string): Place => {
    const found = options?.get(path.split('.', 1)[0] ?? '');
    return found === undefined ? listPlace : placeOf(found.start);
  };
  return { list: listPlace, option, of };
}

/** For each name, how often it occurs before. */
function occurrencesBefore(names: readonly (string | undefined)[]): number[] {
  const counts = new Map<string | undefined, number>();
  return names.map((name) => {
    const count = counts.get(name) ?? 0;
    counts.set(name, count + 1);
    return count;
  });
}

function samePlace(place: Place): EntryPlaces {
  return { entry: place, field: () => place, inSql: () => place };
}

/** True if an element of the list can be the entry with this name. One whose name code computes can be any. */
function mayBe(element: SourceValue, name: string | undefined): boolean {
  const written = nameIn(element);
  return element.fields !== undefined && (written === undefined || name === undefined || written === name);
}

function nameIn({ fields }: SourceValue): string | undefined {
  return fields?.get('name')?.value.text?.value;
}
