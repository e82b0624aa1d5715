import type { RangeVar } from 'libpg-query';
import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import { NamePool } from '../name-pool.ts';
import type { SourcePlace } from '../places.ts';
import type { SqlStatement } from '../read-sql.ts';
import { Groups } from './groups.ts';
import { renameColumn, usesColumn } from './index-columns.ts';
import {
  type DroppedIndex,
  keyOf,
  type SchemaForeignKey,
  type SchemaIndex,
  type SchemaTable,
} from './schema-objects.ts';

/** What the functions that apply a statement to a schema need. */
export interface ApplyContext {
  readonly schema: Schema;
  readonly statement: SqlStatement;
  readonly place: SourcePlace;
}

/**
 * A model of the tables and indexes of a database after some statements (see applyStatement). It has only what the
 * statements contain: a table that none of them creates can still have indexes.
 */
export class Schema {
  /** The schema of a name without one. */
  defaultSchema = 'public';
  readonly dropped: DroppedIndex[] = [];
  /** Each index that was created, dropped or renamed, in order. A rename is a drop and a creation. */
  readonly indexChanges: { readonly name: string; readonly isAdded: boolean }[] = [];
  private readonly tablesByKey = new Map<string, SchemaTable>();
  private readonly indexesByKey = new Map<string, SchemaIndex>();
  /** In the order of their creation. */
  private readonly allIndexes = new Set<SchemaIndex>();
  /* A migration can have thousands of tables and indexes, so no statement searches all of them. */
  private readonly names = new Map<string, NamePool>();
  private readonly tablesBySchema = new Groups<SchemaTable>();
  private readonly indexesBySchema = new Groups<SchemaIndex>();
  private readonly indexesByTable = new Groups<SchemaIndex>();
  private readonly indexParts = new Groups<SchemaIndex>();
  private readonly partitions = new Groups<SchemaTable>();
  /** The tables that have a foreign key to a table, or had one. */
  private readonly referencing = new Groups<SchemaTable>();

  get tables(): SchemaTable[] {
    return [...this.tablesByKey.values()];
  }

  tablesIn(schema: string): SchemaTable[] {
    return this.tablesBySchema.of(schema);
  }

  /** The tables that a registry has indexes on: not temporary ones, and not partitions, which get the indexes of their table. */
  get registryTables(): SchemaTable[] {
    return this.tables.filter((table) => !table.temporary && table.partitionOf === null);
  }

  /** In the order of their creation, including the indexes of constraints. */
  get indexes(): SchemaIndex[] {
    return [...this.allIndexes];
  }

  /** The full name of a relation that a statement names. */
  nameOf(relation: RangeVar | undefined): Named {
    return { schema: relation?.schemaname ?? this.defaultSchema, name: relation?.relname ?? '' };
  }

  table(name: Named): SchemaTable | undefined {
    return this.tablesByKey.get(keyOf(name));
  }

  index(name: Named): SchemaIndex | undefined {
    return this.indexesByKey.get(keyOf(name));
  }

  /** The table of an index. */
  tableOf(index: SchemaIndex | undefined): SchemaTable | undefined {
    return index === undefined ? undefined : this.table({ schema: index.schema, name: index.table });
  }

  /** Whether a table or an index has the name. */
  isTaken(name: Named): boolean {
    return this.tablesByKey.has(keyOf(name)) || this.indexesByKey.has(keyOf(name));
  }

  /** The names of the tables and indexes in a schema. */
  namesIn(schema: string): NamePool {
    const names = this.names.get(schema) ?? new NamePool();
    this.names.set(schema, names);
    return names;
  }

  /** Does nothing if the name is taken, as with IF NOT EXISTS. */
  addTable(table: SchemaTable): void {
    if (!this.isTaken(table)) this.insertTable(table);
  }

  /** Does nothing if the name is taken, as with IF NOT EXISTS. */
  addIndex(index: SchemaIndex): void {
    if (this.isTaken(index)) return;
    this.insertIndex(index);
    this.allIndexes.add(index);
  }

  indexesOf(table: Named): SchemaIndex[] {
    return this.indexesByTable.of(keyOf(table));
  }

  addForeignKey(table: SchemaTable, key: SchemaForeignKey): void {
    table.foreignKeys.push(key);
    table.foreignKeyNames.add(key.name);
    this.referencing.add(keyOf(key.references), table);
  }

  renameForeignKey(name: Named, from: string, to: string): void {
    const table = this.table(name);
    for (const key of table?.foreignKeys ?? []) {
      if (key.name !== from) continue;
      table?.foreignKeyNames.remove(from);
      table?.foreignKeyNames.add(to);
      key.name = to;
    }
  }

  dropForeignKeys(table: SchemaTable, isDropped: (key: SchemaForeignKey) => boolean): void {
    const kept: SchemaForeignKey[] = [];
    for (const key of table.foreignKeys) {
      if (isDropped(key)) table.foreignKeyNames.remove(key.name);
      else kept.push(key);
    }
    table.foreignKeys = kept;
  }

  /** Makes a table a partition of another one. @param parent null: of none */
  attachTable(table: SchemaTable, parent: Named | null): void {
    if (table.partitionOf !== null) this.partitions.remove(table.partitionOf, table);
    table.partitionOf = parent === null ? null : keyOf(parent);
    if (table.partitionOf !== null) this.partitions.add(table.partitionOf, table);
  }

  /** Makes an index a part of the index of a partitioned table. */
  attachIndex(index: SchemaIndex, parent: Named): void {
    if (index.attachedTo !== null) this.indexParts.remove(index.attachedTo, index);
    index.attachedTo = keyOf(parent);
    this.indexParts.add(index.attachedTo, index);
  }

  dropTable(name: Named, place: SourcePlace): void {
    const tables: Named[] = [name];
    for (let one = tables.pop(); one !== undefined; one = tables.pop()) {
      const key = keyOf(one);
      for (const index of this.indexesOf(one)) this.dropIndex(index, place, `DROP TABLE ${one.name}`);
      const table = this.tablesByKey.get(key);
      if (table !== undefined) this.deleteTable(table);
      for (const other of this.referencing.of(key)) {
        this.dropForeignKeys(other, ({ references }) => keyOf(references) === key);
        this.referencing.remove(key, other);
      }
      tables.push(...this.partitions.of(key).reverse());
    }
  }

  /** @param by the statement that drops it: `DROP TABLE deals` */
  dropIndex(name: Named, place: SourcePlace, by: string): void {
    const first = this.index(name);
    const indexes = first === undefined ? [] : [first];
    for (let one = indexes.pop(); one !== undefined; one = indexes.pop()) {
      if (!this.allIndexes.has(one)) continue;
      this.deleteIndex(one);
      this.allIndexes.delete(one);
      if (one.attachedTo !== null) this.indexParts.remove(one.attachedTo, one);
      this.dropped.push({ index: one, place, by });
      indexes.push(...this.indexParts.of(keyOf(one)).reverse());
    }
  }

  dropSchema(schema: string, place: SourcePlace): void {
    for (const table of this.tablesIn(schema)) this.dropTable(table, place);
    for (const index of this.indexesBySchema.of(schema))
      this.dropIndex(index, place, `DROP SCHEMA ${schema}`);
  }

  /** Gives a table another name or schema; its indexes move with it. */
  moveTable(name: Named, to: Partial<Named>): void {
    const key = keyOf(name);
    const table = this.tablesByKey.get(key);
    const moved = { schema: name.schema, name: name.name, ...to };
    for (const index of this.indexesOf(name)) this.moveIndex(index, { schema: moved.schema }, moved.name);
    for (const partition of this.partitions.of(key)) this.attachTable(partition, moved);
    for (const other of this.referencing.of(key)) {
      for (const foreign of other.foreignKeys)
        if (keyOf(foreign.references) === key) foreign.references = moved;
      this.referencing.remove(key, other);
      this.referencing.add(keyOf(moved), other);
    }
    if (table === undefined) return;
    this.deleteTable(table);
    Object.assign(table, moved);
    this.insertTable(table);
  }

  /** @param table the new name of its table, if that changes */
  moveIndex(name: Named, to: Partial<Named>, table?: string): void {
    const index = this.index(name);
    if (index === undefined) return;
    const parts = this.indexParts.of(keyOf(index));
    this.deleteIndex(index);
    Object.assign(index, to, table === undefined ? {} : { table });
    this.insertIndex(index);
    for (const part of parts) this.attachIndex(part, index);
  }

  dropColumn(name: Named, column: string, place: SourcePlace): void {
    const table = this.table(name);
    if (table !== undefined) {
      table.columns = table.columns?.filter((one) => one !== column) ?? null;
      this.dropForeignKeys(table, (key) => key.columns.includes(column));
    }
    for (const index of this.indexesOf(name)) {
      if (usesColumn(index, column)) {
        this.dropIndex(index, place, `ALTER TABLE ${name.name} DROP COLUMN ${column}`);
      }
    }
  }

  renameColumn(name: Named, from: string, to: string): void {
    const table = this.table(name);
    const renamed = (columns: string[]) => columns.map((column) => (column === from ? to : column));
    if (table !== undefined) {
      table.columns = table.columns === null ? null : renamed(table.columns);
      for (const key of table.foreignKeys) key.columns = renamed(key.columns);
    }
    for (const index of this.indexesOf(name)) if (usesColumn(index, from)) renameColumn(index, from, to);
  }

  private insertTable(table: SchemaTable): void {
    this.tablesByKey.set(keyOf(table), table);
    this.tablesBySchema.add(table.schema, table);
    this.namesIn(table.schema).add(table.name);
    if (table.partitionOf !== null) this.partitions.add(table.partitionOf, table);
  }

  private deleteTable(table: SchemaTable): void {
    if (!this.tablesByKey.delete(keyOf(table))) return;
    this.tablesBySchema.remove(table.schema, table);
    this.namesIn(table.schema).remove(table.name);
    if (table.partitionOf !== null) this.partitions.remove(table.partitionOf, table);
  }

  private insertIndex(index: SchemaIndex): void {
    this.indexChanges.push({ name: keyOf(index), isAdded: true });
    this.indexesByKey.set(keyOf(index), index);
    this.indexesBySchema.add(index.schema, index);
    this.indexesByTable.add(keyOf({ schema: index.schema, name: index.table }), index);
    this.namesIn(index.schema).add(index.name);
  }

  private deleteIndex(index: SchemaIndex): void {
    this.indexChanges.push({ name: keyOf(index), isAdded: false });
    // After a move onto a taken name, the key belongs to the other index.
    if (this.index(index) === index) this.indexesByKey.delete(keyOf(index));
    this.indexesBySchema.remove(index.schema, index);
    this.indexesByTable.remove(keyOf({ schema: index.schema, name: index.table }), index);
    this.namesIn(index.schema).remove(index.name);
  }
}
