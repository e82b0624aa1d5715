import type { SourcePlace } from '../places.ts';
import { type Gone, keyOf, type ObjectName, type SchemaIndex, type SchemaTable } from './objects.ts';
import { mentionsColumn, renameColumn } from './rename-column.ts';

/**
 * What the tables and indexes of a database are after some statements, as far as the statements say: see applyStatement.
 * A table that no statement made can have indexes all the same.
 */
export class Schema {
  /** The schema of a name without one. */
  defaultSchema = 'public';
  readonly gone: Gone[] = [];
  private readonly tablesByName = new Map<string, SchemaTable>();
  private readonly indexesByName = new Map<string, SchemaIndex>();

  get tables(): SchemaTable[] {
    return [...this.tablesByName.values()];
  }

  /** The tables that the registry can have indexes on: no temporary ones, and no partitions, which get those of their table. */
  get registryTables(): SchemaTable[] {
    return this.tables.filter((table) => !table.temporary && table.partitionOf === null);
  }

  /** Constraints' own included, in the order in which they were made. */
  get indexes(): SchemaIndex[] {
    return [...this.indexesByName.values()];
  }

  table(name: ObjectName): SchemaTable | undefined {
    return this.tablesByName.get(keyOf(name));
  }

  index(name: ObjectName): SchemaIndex | undefined {
    return this.indexesByName.get(keyOf(name));
  }

  /** Tables and indexes of a schema share their names. */
  isTaken(name: ObjectName): boolean {
    return this.tablesByName.has(keyOf(name)) || this.indexesByName.has(keyOf(name));
  }

  addTable(table: SchemaTable): void {
    if (!this.isTaken(table)) this.tablesByName.set(keyOf(table), table);
  }

  /** One whose name is taken is not made, as with IF NOT EXISTS. */
  addIndex(index: SchemaIndex): void {
    if (!this.isTaken(index)) this.indexesByName.set(keyOf(index), index);
  }

  indexesOf(table: { schema: string; name: string }): SchemaIndex[] {
    return this.indexes.filter((index) => index.schema === table.schema && index.table === table.name);
  }

  dropTable(name: ObjectName, place: SourcePlace): void {
    for (const index of this.indexesOf(name)) this.dropIndex(index, place, `DROP TABLE ${name.name}`);
    this.tablesByName.delete(keyOf(name));
    for (const table of this.tables) {
      table.foreignKeys = table.foreignKeys.filter(({ references }) => keyOf(references) !== keyOf(name));
      if (table.partitionOf === keyOf(name)) this.dropTable(table, place);
    }
  }

  dropIndex(name: ObjectName, place: SourcePlace, by: string): void {
    const index = this.index(name);
    if (index === undefined) return;
    this.indexesByName.delete(keyOf(index));
    this.gone.push({ index, place, by });
    for (const part of this.indexes) {
      if (part.attachedTo === keyOf(index)) this.dropIndex(part, place, by);
    }
  }

  dropSchema(schema: string, place: SourcePlace): void {
    for (const table of this.tables.filter((one) => one.schema === schema)) this.dropTable(table, place);
    for (const index of this.indexes.filter((one) => one.schema === schema)) {
      this.dropIndex(index, place, `DROP SCHEMA ${schema}`);
    }
  }

  /** With the table go its indexes. */
  moveTable(name: ObjectName, to: Partial<ObjectName>): void {
    const table = this.table(name);
    const moved = { schema: name.schema, name: name.name, ...to };
    for (const index of this.indexesOf(name)) this.moveIndex(index, { schema: moved.schema }, moved.name);
    for (const other of this.tables) {
      if (other.partitionOf === keyOf(name)) other.partitionOf = keyOf(moved);
      for (const key of other.foreignKeys) if (keyOf(key.references) === keyOf(name)) key.references = moved;
    }
    if (table === undefined) return;
    this.tablesByName.delete(keyOf(table));
    Object.assign(table, moved);
    this.tablesByName.set(keyOf(table), table);
  }

  moveIndex(name: ObjectName, to: Partial<ObjectName>, table?: string): void {
    const index = this.index(name);
    if (index === undefined) return;
    const before = keyOf(index);
    // In its place: the order is that in which they were made.
    const all = this.indexes;
    Object.assign(index, to, table === undefined ? {} : { table });
    for (const part of all) if (part.attachedTo === before) part.attachedTo = keyOf(index);
    this.indexesByName.clear();
    for (const one of all) this.indexesByName.set(keyOf(one), one);
  }

  dropColumn(name: ObjectName, column: string, place: SourcePlace): void {
    const table = this.table(name);
    if (table !== undefined) {
      table.columns = table.columns?.filter((one) => one !== column) ?? null;
      table.foreignKeys = table.foreignKeys.filter((key) => !key.columns.includes(column));
    }
    for (const index of this.indexesOf(name)) {
      if (mentionsColumn(index, column)) {
        this.dropIndex(index, place, `ALTER TABLE ${name.name} DROP COLUMN ${column}`);
      }
    }
  }

  renameColumn(name: ObjectName, from: string, to: string): void {
    const table = this.table(name);
    const renamed = (columns: string[]) => columns.map((column) => (column === from ? to : column));
    if (table !== undefined) {
      table.columns = table.columns === null ? null : renamed(table.columns);
      for (const key of table.foreignKeys) key.columns = renamed(key.columns);
    }
    for (const index of this.indexesOf(name)) renameColumn(index, from, to);
  }
}
