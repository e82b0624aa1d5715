import type { RangeVar } from 'libpg-query';
import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import type { SourcePlace } from '../places.ts';
import type { SqlStatement } from '../read-sql.ts';
import { renameColumn, usesColumn } from './index-columns.ts';
import { type DroppedIndex, keyOf, type SchemaIndex, type SchemaTable } from './schema-objects.ts';

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
  private readonly tablesByKey = new Map<string, SchemaTable>();
  private readonly indexesByKey = new Map<string, SchemaIndex>();

  get tables(): SchemaTable[] {
    return [...this.tablesByKey.values()];
  }

  /** The tables that a registry has indexes on: not temporary ones, and not partitions, which get the indexes of their table. */
  get registryTables(): SchemaTable[] {
    return this.tables.filter((table) => !table.temporary && table.partitionOf === null);
  }

  /** In the order of their creation, including the indexes of constraints. */
  get indexes(): SchemaIndex[] {
    return [...this.indexesByKey.values()];
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

  /** Whether a table or an index has the name. */
  isTaken(name: Named): boolean {
    return this.tablesByKey.has(keyOf(name)) || this.indexesByKey.has(keyOf(name));
  }

  /** Does nothing if the name is taken, as with IF NOT EXISTS. */
  addTable(table: SchemaTable): void {
    if (!this.isTaken(table)) this.tablesByKey.set(keyOf(table), table);
  }

  /** Does nothing if the name is taken, as with IF NOT EXISTS. */
  addIndex(index: SchemaIndex): void {
    if (!this.isTaken(index)) this.indexesByKey.set(keyOf(index), index);
  }

  indexesOf(table: Named): SchemaIndex[] {
    return this.indexes.filter((index) => index.schema === table.schema && index.table === table.name);
  }

  dropTable(name: Named, place: SourcePlace): void {
    for (const index of this.indexesOf(name)) this.dropIndex(index, place, `DROP TABLE ${name.name}`);
    this.tablesByKey.delete(keyOf(name));
    for (const table of this.tables) {
      table.foreignKeys = table.foreignKeys.filter(({ references }) => keyOf(references) !== keyOf(name));
      if (table.partitionOf === keyOf(name)) this.dropTable(table, place);
    }
  }

  /** @param by the statement that drops it: `DROP TABLE deals` */
  dropIndex(name: Named, place: SourcePlace, by: string): void {
    const index = this.index(name);
    if (index === undefined) return;
    this.indexesByKey.delete(keyOf(index));
    this.dropped.push({ index, place, by });
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

  /** Gives a table another name or schema; its indexes move with it. */
  moveTable(name: Named, to: Partial<Named>): void {
    const table = this.table(name);
    const moved = { schema: name.schema, name: name.name, ...to };
    for (const index of this.indexesOf(name)) this.moveIndex(index, { schema: moved.schema }, moved.name);
    for (const other of this.tables) {
      if (other.partitionOf === keyOf(name)) other.partitionOf = keyOf(moved);
      for (const key of other.foreignKeys) if (keyOf(key.references) === keyOf(name)) key.references = moved;
    }
    if (table === undefined) return;
    this.tablesByKey.delete(keyOf(table));
    Object.assign(table, moved);
    this.tablesByKey.set(keyOf(table), table);
  }

  /** @param table the new name of its table, if that changes */
  moveIndex(name: Named, to: Partial<Named>, table?: string): void {
    const index = this.index(name);
    if (index === undefined) return;
    const before = keyOf(index);
    // Rebuilds the map, because the index keeps its position in the order of creation.
    const all = this.indexes;
    Object.assign(index, to, table === undefined ? {} : { table });
    for (const part of all) if (part.attachedTo === before) part.attachedTo = keyOf(index);
    this.indexesByKey.clear();
    for (const one of all) this.indexesByKey.set(keyOf(one), one);
  }

  dropColumn(name: Named, column: string, place: SourcePlace): void {
    const table = this.table(name);
    if (table !== undefined) {
      table.columns = table.columns?.filter((one) => one !== column) ?? null;
      table.foreignKeys = table.foreignKeys.filter((key) => !key.columns.includes(column));
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
    for (const index of this.indexesOf(name)) renameColumn(index, from, to);
  }
}
