import { type Place, placesIn } from '../sql/places.ts';
import type { RegistryKind } from './entry-text.ts';
import { findList, namedObjects, objectAt, type SourceObject } from './source/list.ts';
import { readText } from './source/literal.ts';
import { type Token, tokensOf } from './source/tokens.ts';

/** Where an entry stands in its file. What is made by code stands where the nearest thing does that is written out. */
export interface EntryPlaces {
  readonly entry: Place;
  /** Where a field stands, `critical`, or a key in it, `accept.redundant-index`; of a field that is missing, the entry. */
  readonly field: (path: string) => Place;
  /** Where a character of the statement stands; of a statement that is put together by code, its field. */
  readonly inSql: (offset: number) => Place;
}

export interface RegistryPlaces {
  /** The list of entries; line 1, column 1 where it is made by code. */
  readonly list: Place;
  readonly of: (position: number) => EntryPlaces;
}

const START: Place = { line: 1, column: 1 };

/** The places of a registry whose file is not known. */
export const NO_PLACES: RegistryPlaces = { list: START, of: () => placesOfNothing(START) };

/**
 * Finds a registry's entries in its file: by their order where the list is written out, else by their name.
 * @param entries what the file holds, as it was loaded.
 */
export function locateEntries(text: string, kind: RegistryKind, entries: readonly unknown[]): RegistryPlaces {
  const tokens = tokensOf(text);
  if (tokens === null) return NO_PLACES;
  const placeOf = placesIn(text);
  const list = findList(tokens, kind);
  const listPlace = list === null ? START : placeOf(list.open.start);
  const byName = namedObjects(tokens);
  const spread = list?.elements.findIndex(([first]) => first?.text === '...') ?? -1;
  const ordered = (spread === -1 ? list?.elements : list?.elements.slice(0, spread)) ?? [];
  const names = entries.map((entry) => textField(entry, 'name'));

  function of(position: number): EntryPlaces {
    const name = names[position];
    const element = ordered[position];
    const written = element === undefined ? null : objectAt(element, 0);
    const object = written !== null && isNamed(written, name) ? written : namesake(position, name);
    if (object !== null) return placesOf(object, textField(entries[position], 'sql'), placeOf);
    return placesOfNothing(element?.[0] === undefined ? listPlace : placeOf(element[0].start));
  }

  /** Of entries with one name, the first in the list is the first in the file. */
  function namesake(position: number, name: string | undefined): SourceObject | null {
    if (name === undefined) return null;
    const before = names.slice(0, position).filter((other) => other === name).length;
    return byName.get(name)?.[before] ?? null;
  }

  return { list: listPlace, of };
}

function placesOf(
  object: SourceObject,
  sql: string | undefined,
  placeOf: (offset: number) => Place,
): EntryPlaces {
  const entry = placeOf(object.open.start);
  const field = (path: string): Place => {
    const [name = '', ...inner] = path.split('.');
    const found = object.fields.get(name);
    if (found === undefined) return entry;
    const key = objectAt(found.value, 0)?.fields.get(inner.join('.'))?.key ?? found.key;
    return placeOf(key.start);
  };
  const literal = literalOf(object.fields.get('sql')?.value);
  const inSql = (offset: number): Place => {
    const at = literal?.value === sql ? literal?.offsets[offset] : undefined;
    return at === undefined ? field('sql') : placeOf(at);
  };
  return { entry, field, inSql };
}

function placesOfNothing(place: Place): EntryPlaces {
  return { entry: place, field: () => place, inSql: () => place };
}

/** An object without a name that is written out may be any. */
function isNamed(object: SourceObject, name: string | undefined): boolean {
  const literal = literalOf(object.fields.get('name')?.value);
  return literal === null || name === undefined || literal.value === name;
}

function literalOf(value: readonly Token[] | undefined) {
  const [token, ...others] = value ?? [];
  return token === undefined || others.length > 0 ? null : readText(token);
}

/** A field of an entry that may be anything, where it is a text. */
export function textField(entry: unknown, field: 'name' | 'sql'): string | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const value = (entry as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : undefined;
}
