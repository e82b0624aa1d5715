import type { CompiledIndex } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { readSpellings, type Spelling } from './definition-spelling.ts';
import { indexKey, tableKey } from './identifiers.ts';
import {
  type ComparedDefinition,
  type Definition,
  isSameDefinition,
  readExistingDefinitions,
} from './index-definition.ts';
import { normalizeDefinitions } from './normalize-definitions.ts';
import type { TableIndex } from './table-indexes.ts';

/** What is known about the definition of an entry, and the indexes that match it. */
export interface Match {
  /** The definition of the entry. Null: no index can have it. Undefined: it is not known. */
  readonly wanted: ComparedDefinition | null | undefined;
  /** The same with all its properties. Undefined: it is not known, or was not needed. */
  readonly normalized: Definition | undefined;
  /** The index with the name of the entry. */
  readonly own: TableIndex | undefined;
  /** The definition of that index. Undefined: there is none, or it could not be read. */
  readonly ownDefinition: ComparedDefinition | undefined;
  /** Another index that has the definition of the entry. */
  readonly same: TableIndex | undefined;
  /** Nothing could be read, because another session has locked the table. */
  readonly locked: boolean;
  /** Why the definition of the entry is not known, and what changes that. Null: it is known or not needed, or the table is locked. */
  readonly notComparable: string | null;
}

interface Comparison {
  /** Valid indexes of the tables of the entries, by `tableKey`: see `readCandidates`. */
  readonly candidates: ReadonlyMap<string, readonly TableIndex[]>;
  /** Why entries may use code of untrusted roles, by `indexKey`. Only their texts are compared. */
  readonly untrusted: ReadonlyMap<string, string>;
  /** Keys of the entries whose index exists and is invalid. All properties of their definitions are needed. */
  readonly invalid: ReadonlySet<string>;
}

/**
 * Compares the definitions of entries with those of existing indexes, by `indexKey`. A few queries suffice for any number of
 * tables: one reads what exists, and most definitions of the registry are known as the server prints them. The server
 * normalizes only those that are not known, and those of which all properties are needed.
 */
export async function compareDefinitions(
  client: Client,
  entries: readonly CompiledIndex[],
  { candidates, untrusted, invalid }: Comparison,
): Promise<Map<string, Match>> {
  const existing = await readExistingDefinitions(client, [...candidates.values()].flat());
  const tables = new Map(
    [...candidates].map(([table, indexes]) => [table, new ExistingIndexes(indexes, existing.definitions)]),
  );
  const indexesOf = (entry: CompiledIndex) => tables.get(tableKey(entry)) ?? NO_INDEXES;
  const readable = entries.filter(
    (entry) =>
      !existing.locked.has(tableKey(entry)) && (!indexesOf(entry).isEmpty || invalid.has(indexKey(entry))),
  );
  const spellings = await readSpellings(client, readable);
  const wanted = new Map(
    readable.map((entry) => [indexKey(entry), indexesOf(entry).wantedBy(entry, spellings.get(entry))]),
  );
  const open = readable.filter((entry) => {
    const key = indexKey(entry);
    return !untrusted.has(key) && !indexesOf(entry).settles(entry, wanted.get(key), invalid.has(key));
  });
  const normalized = await normalizeDefinitions(client, open);
  for (const entry of open) wanted.set(indexKey(entry), normalized.definitions.get(indexKey(entry)));
  return new Map(
    entries.map((entry) => {
      const [key, table] = [indexKey(entry), tableKey(entry)];
      const definition = wanted.get(key);
      const locked = existing.locked.has(table) || normalized.locked.has(table);
      const reason = untrusted.get(key) ?? normalized.notComparable.get(table) ?? null;
      return [
        key,
        {
          ...indexesOf(entry).matching(entry, definition),
          wanted: definition,
          normalized: normalized.definitions.get(key) ?? undefined,
          locked,
          notComparable: definition !== undefined || indexesOf(entry).isEmpty || locked ? null : reason,
        },
      ];
    }),
  );
}

/** The valid indexes of one table with their definitions, found by name and by definition. */
class ExistingIndexes {
  private readonly byName = new Map<string, TableIndex>();
  private readonly byText = new Map<string, ComparedDefinition>();
  private readonly byShape = new Map<string, TableIndex[]>();
  private readonly definitions: ReadonlyMap<number, ComparedDefinition>;
  private readonly indexes: readonly TableIndex[];

  constructor(indexes: readonly TableIndex[], definitions: ReadonlyMap<number, ComparedDefinition>) {
    this.indexes = indexes;
    this.definitions = definitions;
    for (const index of indexes) {
      this.byName.set(index.name, index);
      const definition = definitions.get(index.oid);
      if (definition === undefined) continue;
      this.byText.set(definition.text, definition);
      const shape = shapeOf(definition);
      this.byShape.set(shape, [...(this.byShape.get(shape) ?? []), index]);
    }
  }

  get isEmpty(): boolean {
    return this.indexes.length === 0;
  }

  /** The definition of an entry, as far as that is certain without the server. Undefined: it is not. */
  wantedBy(entry: CompiledIndex, spelling: Spelling | undefined): ComparedDefinition | null | undefined {
    // The text of the registry can already be in the normalized form.
    const known =
      this.byText.get(`${entry.unique ? 'unique ' : ''}${entry.definition}`) ?? spelling?.definition;
    if (known != null || spelling === undefined) return known ?? undefined;
    const canExist = this.indexes.some((index) => {
      const definition = this.definitions.get(index.oid);
      return definition !== undefined && spelling.fits(definition);
    });
    return canExist ? undefined : null;
  }

  /** Whether the state of an entry follows from this definition, without its other properties. */
  settles(entry: CompiledIndex, wanted: ComparedDefinition | null | undefined, isInvalid: boolean): boolean {
    if (wanted === undefined) return false;
    const { own, ownDefinition, same } = this.matching(entry, wanted);
    if (own === undefined) return same !== undefined || !isInvalid;
    return ownDefinition === undefined || (wanted !== null && isSameDefinition(wanted, ownDefinition));
  }

  matching(
    { name }: CompiledIndex,
    wanted: ComparedDefinition | null | undefined,
  ): Pick<Match, 'own' | 'ownDefinition' | 'same'> {
    const own = this.byName.get(name);
    const same =
      wanted == null
        ? undefined
        : this.byShape.get(shapeOf(wanted))?.find((index) => {
            const definition = this.definitions.get(index.oid);
            return index.immediate && definition !== undefined && isSameDefinition(wanted, definition);
          });
    return { own, ownDefinition: own && this.definitions.get(own.oid), same };
  }
}

const NO_INDEXES = new ExistingIndexes([], new Map());

/** Everything that makes two definitions the same except storage options. */
function shapeOf({ unique, structure, predicate }: ComparedDefinition): string {
  return JSON.stringify([unique, structure, predicate]);
}
