import type { RangeVar } from 'libpg-query';
import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import { NamePool } from '../name-pool.ts';
import { Groups } from './groups.ts';
import { type Doubt, keyOf, type SchemaIndex, type SchemaTable } from './schema-objects.ts';
import { SessionPath } from './session-path.ts';

/**
 * The relations of a schema model and what connects them. A migration can have thousands of tables and indexes, so no statement
 * searches all of them.
 */
export class RelationStore {
  /** Decides the schema of a name without one. */
  readonly path: SessionPath;
  /**
   * While it is set, it is unknown whether statements run: new relations get this doubt, and so does each index that a statement
   * would change. Nothing else changes.
   */
  doubt: Doubt | null = null;
  /** Each index that was created, dropped or renamed, in order. A rename is a drop and a creation. */
  readonly indexChanges: { readonly name: string; readonly isAdded: boolean }[] = [];
  /** In the order of their creation. */
  protected readonly allIndexes = new Set<SchemaIndex>();
  protected readonly indexesBySchema = new Groups<SchemaIndex>();
  protected readonly indexParts = new Groups<SchemaIndex>();
  protected readonly partitions = new Groups<SchemaTable>();
  /** The tables that inherit from a table with INHERITS. */
  protected readonly heirs = new Groups<SchemaTable>();
  /** The views whose query reads a relation. */
  protected readonly readers = new Groups<SchemaTable>();
  /** The tables that have a foreign key to a table, or had one. */
  protected readonly referencing = new Groups<SchemaTable>();
  private readonly types = new Map<string, readonly string[]>();
  private readonly relationsByKey = new Map<string, SchemaTable>();
  private readonly indexesByKey = new Map<string, SchemaIndex>();
  private readonly names = new Map<string, NamePool>();
  private readonly relationsBySchema = new Groups<SchemaTable>();
  private readonly indexesByTable = new Groups<SchemaIndex>();

  /** @param searchPath with which each session begins @default public */
  constructor(searchPath?: readonly string[]) {
    this.path = new SessionPath(searchPath);
  }

  /** Without views. */
  get tables(): SchemaTable[] {
    return [...this.relationsByKey.values()].filter(({ kind }) => kind !== 'view');
  }

  /** The tables that a registry has indexes on: not temporary ones, and not partitions, which get the indexes of their table. */
  get registryTables(): SchemaTable[] {
    return this.tables.filter((table) => !table.temporary && table.partitionOf === null);
  }

  get indexCount(): number {
    return this.allIndexes.size;
  }

  /** In the order of their creation, including the indexes of constraints. */
  get indexes(): SchemaIndex[] {
    return [...this.allIndexes];
  }

  /** The names of the schemas that have a relation. */
  get schemas(): string[] {
    return [...this.names.keys()];
  }

  /** The type with these names. It is one object for all columns: a schema has thousands of columns, and few types. */
  typeOf(names: readonly string[]): readonly string[] {
    const key = JSON.stringify(names);
    const type = this.types.get(key) ?? names;
    this.types.set(key, type);
    return type;
  }

  /** The tables and views in a schema. */
  relationsIn(schema: string): SchemaTable[] {
    return this.relationsBySchema.of(schema);
  }

  /**
   * The full name of a relation that a statement names: the first one of the search path. If the path has none, it is where it
   * would be created.
   */
  nameOf(relation: Pick<RangeVar, 'schemaname' | 'relname'> | undefined): Named {
    const name = relation?.relname ?? '';
    // The schema of temporary tables is searched first.
    const schemas = relation?.schemaname === undefined ? [TEMPORARY, ...this.path.schemas] : [];
    const found = schemas.find((schema) => this.isTaken({ schema, name }));
    return { schema: relation?.schemaname ?? found ?? this.path.first, name };
  }

  /** A table or a view. */
  table(name: Named): SchemaTable | undefined {
    return this.relationsByKey.get(keyOf(name));
  }

  index(name: Named): SchemaIndex | undefined {
    return this.indexesByKey.get(keyOf(name));
  }

  /** The table of an index. */
  tableOf(index: SchemaIndex | undefined): SchemaTable | undefined {
    return index === undefined ? undefined : this.table({ schema: index.schema, name: index.table });
  }

  /** Whether a table, a view or an index has the name. */
  isTaken(name: Named): boolean {
    return this.relationsByKey.has(keyOf(name)) || this.indexesByKey.has(keyOf(name));
  }

  /** The names of the tables, views and indexes in a schema. */
  namesIn(schema: string): NamePool {
    const names = this.names.get(schema) ?? new NamePool();
    this.names.set(schema, names);
    return names;
  }

  indexesOf(table: Named): SchemaIndex[] {
    return this.indexesOfKey(keyOf(table));
  }

  /** @param table `keyOf` it; null: no table */
  indexesOfKey(table: string | null): SchemaIndex[] {
    return table === null ? [] : this.indexesByTable.of(table);
  }

  partitionsOf(table: Named): SchemaTable[] {
    return this.partitions.of(keyOf(table));
  }

  /** The partitions of a table and the tables that inherit from it, directly or through others. */
  heirsOf(table: Named): SchemaTable[] {
    const found = new Set<SchemaTable>();
    const next: Named[] = [table];
    for (let one = next.pop(); one !== undefined; one = next.pop()) {
      for (const child of this.childrenOf(one)) {
        if (found.has(child)) continue;
        found.add(child);
        next.push(child);
      }
    }
    return [...found];
  }

  /** The partitions of a table, and the tables that inherit from it. */
  protected childrenOf(table: Named): SchemaTable[] {
    return [...this.partitionsOf(table), ...this.heirs.of(keyOf(table))];
  }

  protected insertTable(table: SchemaTable): void {
    this.relationsByKey.set(keyOf(table), table);
    this.relationsBySchema.add(table.schema, table);
    this.namesIn(table.schema).add(table.name);
    if (table.partitionOf !== null) this.partitions.add(table.partitionOf, table);
    for (const parent of table.inherits) this.heirs.add(parent, table);
    for (const read of table.reads.keys()) this.readers.add(read, table);
  }

  protected deleteTable(table: SchemaTable): void {
    if (!this.relationsByKey.delete(keyOf(table))) return;
    this.relationsBySchema.remove(table.schema, table);
    this.namesIn(table.schema).remove(table.name);
    if (table.partitionOf !== null) this.partitions.remove(table.partitionOf, table);
    for (const parent of table.inherits) this.heirs.remove(parent, table);
    for (const read of table.reads.keys()) this.readers.remove(read, table);
  }

  protected insertIndex(index: SchemaIndex): void {
    const key = keyOf(index);
    this.indexChanges.push({ name: key, isAdded: true });
    this.indexesByKey.set(key, index);
    this.indexesBySchema.add(index.schema, index);
    this.indexesByTable.add(keyOf({ schema: index.schema, name: index.table }), index);
    this.namesIn(index.schema).add(index.name);
  }

  protected deleteIndex(index: SchemaIndex): void {
    this.indexChanges.push({ name: keyOf(index), isAdded: false });
    // After a move onto a taken name, the key belongs to the other index.
    if (this.index(index) === index) this.indexesByKey.delete(keyOf(index));
    this.indexesBySchema.remove(index.schema, index);
    this.indexesByTable.remove(keyOf({ schema: index.schema, name: index.table }), index);
    this.namesIn(index.schema).remove(index.name);
  }
}

/** The schema of temporary tables in the model. */
export const TEMPORARY = 'pg_temp';
