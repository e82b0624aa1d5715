import type { Named } from '../../../lambdas/postgres/identifiers.ts';
import type { SourcePlace } from '../places.ts';
import type { SqlStatement } from '../read-sql.ts';
import { renameColumn, usesColumn } from './index-columns.ts';
import { RelationStore, TEMPORARY } from './relation-store.ts';
import {
  type Doubt,
  type DroppedIndex,
  keyOf,
  markInherited,
  type SchemaForeignKey,
  type SchemaFunction,
  type SchemaIndex,
  type SchemaTable,
  type Unfollowed,
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
export class Schema extends RelationStore {
  readonly dropped: DroppedIndex[] = [];
  readonly functions = new Map<string, SchemaFunction[]>();
  /** The CREATE FUNCTION statements of the functions that a statement called. */
  readonly called = new Set<SqlStatement>();
  /** What creates, changes or drops indexes in a way that only the server knows. */
  readonly unfollowed: Unfollowed[] = [];
  /** How many functions and DO blocks call each other at the moment, and the characters of code that ran in this session. */
  codeDepth = 0;
  codeRun = 0;
  private sessions = 0;

  /** Begins a session: it has its own settings and temporary tables. */
  startSession(): void {
    this.path.start();
    this.sessions += 1;
    this.codeRun = 0;
    // Those of earlier sessions stay in the model under a name that no statement contains.
    for (const table of this.relationsIn(TEMPORARY))
      this.moveTable(table, { schema: `${TEMPORARY} ${this.sessions}` });
  }

  /** Applies changes that may not take place. @param doubt undefined: they do */
  inDoubt(doubt: Doubt | undefined, apply: () => void): void {
    const before = this.doubt;
    this.doubt = before ?? doubt ?? null;
    apply();
    this.doubt = before;
  }

  /** Does nothing if the name is taken, as with IF NOT EXISTS. */
  addTable(table: SchemaTable): void {
    if (!this.isTaken(table)) this.insertTable(table);
  }

  /**
   * Does nothing if the name is taken, as with IF NOT EXISTS.
   * @param isNew the statement has no IF NOT EXISTS, so an index of this name that may be dropped is dropped
   * @returns whether it was added
   */
  addIndex(index: SchemaIndex, isNew = false): boolean {
    const other = this.index(index);
    if (isNew && this.doubt === null && other !== undefined && other.doubt !== null)
      this.dropIndex(other, other.doubt.place, 'DROP INDEX');
    if (this.isTaken(index)) return false;
    index.doubt ??= this.doubt;
    this.insertIndex(index);
    this.allIndexes.add(index);
    return true;
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
    if (this.doubt !== null) return;
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

  /** CREATE OR REPLACE VIEW: the view has another query. */
  readInstead(view: SchemaTable, reads: SchemaTable['reads']): void {
    for (const read of view.reads.keys()) this.readers.remove(read, view);
    view.reads = reads;
    for (const read of view.reads.keys()) this.readers.add(read, view);
  }

  /** Sets the tables that a table inherits from, by `keyOf`. */
  inherit(table: SchemaTable, parents: readonly string[]): void {
    for (const parent of table.inherits) this.heirs.remove(parent, table);
    table.inherits = [...parents];
    for (const parent of table.inherits) this.heirs.add(parent, table);
  }

  /** Makes an index a part of the index of a partitioned table. @param parent null: of none */
  attachIndex(index: SchemaIndex, parent: Named | null): void {
    if (this.isInDoubt(index)) return;
    if (index.attachedTo !== null) this.indexParts.remove(index.attachedTo, index);
    index.attachedTo = parent === null ? null : keyOf(parent);
    if (index.attachedTo !== null) this.indexParts.add(index.attachedTo, index);
  }

  /**
   * Drops a table or a view, its partitions, the tables that inherit from it, and the views that read one of them: without
   * CASCADE, the server refuses to drop a table that others depend on.
   * @param by the statement that drops it
   */
  dropTable(name: Named, place: SourcePlace, by = `DROP TABLE ${name.name}`): void {
    const next: Named[] = [name];
    const seen = new Set<string>();
    for (let one = next.pop(); one !== undefined; one = next.pop()) {
      const key = keyOf(one);
      if (seen.has(key)) continue;
      seen.add(key);
      for (const index of this.indexesOf(one)) this.dropIndex(index, place, by);
      next.push(...this.childrenOf(one).reverse(), ...this.readers.of(key));
      const table = this.table(one);
      this.doubtTable(table);
      if (this.doubt !== null) continue;
      if (table !== undefined) this.deleteTable(table);
      for (const other of this.referencing.of(key)) {
        this.dropForeignKeys(other, ({ references }) => keyOf(references) === key);
        this.referencing.remove(key, other);
      }
    }
  }

  /** @param by the statement that drops it: `DROP TABLE deals` */
  dropIndex(name: Named, place: SourcePlace, by: string): void {
    const first = this.index(name);
    const indexes = first === undefined ? [] : [first];
    for (let one = indexes.pop(); one !== undefined; one = indexes.pop()) {
      if (!this.allIndexes.has(one)) continue;
      const parts = this.indexParts.of(keyOf(one)).reverse();
      indexes.push(...parts);
      if (this.isInDoubt(one)) continue;
      this.deleteIndex(one);
      this.allIndexes.delete(one);
      if (one.attachedTo !== null) this.indexParts.remove(one.attachedTo, one);
      this.dropped.push({ index: one, place, by });
    }
  }

  dropSchema(schema: string, place: SourcePlace): void {
    const by = `DROP SCHEMA ${schema}`;
    for (const table of this.relationsIn(schema)) this.dropTable(table, place, by);
    for (const index of this.indexesBySchema.of(schema)) this.dropIndex(index, place, by);
  }

  /** Gives a table or a view another name or schema; its indexes move with it. */
  moveTable(name: Named, to: Partial<Named>): void {
    const key = keyOf(name);
    const table = this.table(name);
    const moved = { schema: name.schema, name: name.name, ...to };
    for (const index of this.indexesOf(name)) this.moveIndex(index, { schema: moved.schema }, moved.name);
    this.doubtTable(table);
    if (this.doubt !== null) return;
    for (const partition of this.partitions.of(key)) this.attachTable(partition, moved);
    const renamed = (one: string) => (one === key ? keyOf(moved) : one);
    for (const heir of this.heirs.of(key)) this.inherit(heir, heir.inherits.map(renamed));
    for (const view of this.readers.of(key)) {
      this.readers.remove(key, view);
      this.readers.add(keyOf(moved), view);
      view.reads = new Map(Array.from(view.reads, ([read, columns]) => [renamed(read), columns]));
    }
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
    if (index === undefined || this.isInDoubt(index)) return;
    const parts = this.indexParts.of(keyOf(index));
    this.deleteIndex(index);
    Object.assign(index, to, table === undefined ? {} : { table });
    this.insertIndex(index);
    for (const part of parts) this.attachIndex(part, index);
  }

  /** @param only with ONLY: the tables that inherit the column keep it */
  dropColumn(name: Named, column: string, place: SourcePlace, only = false): void {
    const by = `ALTER TABLE ${name.name} DROP COLUMN ${column}`;
    for (const one of this.losing(name, column, only)) {
      const table = this.table(one);
      this.doubtTable(table);
      if (table !== undefined && this.doubt === null) {
        table.columns = table.columns?.filter((other) => other !== column) ?? null;
        table.columnTypes.delete(column);
        table.inheritedColumns?.delete(column);
        this.dropForeignKeys(table, (key) => key.columns.includes(column));
      }
      this.dropReaders(one, column, place, by);
      for (const index of this.indexesOf(one)) {
        if (usesColumn(index, column)) this.dropIndex(index, place, by);
      }
    }
  }

  /** The tables that lose a column with a table: a table that defines it too, or inherits it from another one, keeps it. */
  private losing(name: Named, column: string, only: boolean): Named[] {
    const losing = new Map<string, Named>([[keyOf(name), name]]);
    const next: Named[] = only ? [] : [name];
    for (let one = next.pop(); one !== undefined; one = next.pop()) {
      const children = this.childrenOf(one).filter(
        (child) =>
          child.partitionOf !== null ||
          (!hasOwnColumn(child, column) && child.inherits.every((parent) => losing.has(parent))),
      );
      for (const child of children) {
        if (losing.has(keyOf(child))) continue;
        losing.set(keyOf(child), child);
        next.push(child);
      }
    }
    return [...losing.values()];
  }

  /** Drops the views that read a column. */
  private dropReaders(name: Named, column: string, place: SourcePlace, by: string): void {
    for (const view of this.readers.of(keyOf(name))) {
      const read = view.reads.get(keyOf(name));
      const isRead = read?.columns.has(column) ?? false;
      if (!isRead && !read?.unclear.has(column) && !read?.unclear.has('*')) continue;
      const reason = `${by} CASCADE drops ${view.name} if its query reads that column`;
      this.inDoubt(isRead ? undefined : { place, reason }, () => this.dropTable(view, place, by));
    }
  }

  /** The tables that inherit the column have its new name too. */
  renameColumn(name: Named, from: string, to: string): void {
    const seen = new Set<string>();
    const next: Named[] = [name];
    for (let one = next.pop(); one !== undefined; one = next.pop()) {
      if (seen.has(keyOf(one))) continue;
      seen.add(keyOf(one));
      next.push(...this.childrenOf(one));
      this.doubtTable(this.table(one));
      if (this.doubt === null) this.renameInTable(one, from, to);
      for (const index of this.indexesOf(one)) {
        if (usesColumn(index, from) && !this.isInDoubt(index)) renameColumn(index, from, to);
      }
    }
  }

  private renameInTable(name: Named, from: string, to: string): void {
    const renamed = (columns: string[]) => columns.map((column) => (column === from ? to : column));
    for (const view of this.readers.of(keyOf(name))) {
      const read = view.reads.get(keyOf(name));
      if (read?.columns.delete(from)) read.columns.add(to);
      if (read?.unclear.delete(from)) read.unclear.add(to);
    }
    const table = this.table(name);
    if (table === undefined) return;
    table.columns = table.columns === null ? null : renamed(table.columns);
    if (table.inheritedColumns?.delete(from)) table.inheritedColumns.add(to);
    if (!table.columnTypes.has(from)) markInherited(table, to);
    table.columnTypes.set(to, table.columnTypes.get(from) ?? []);
    table.columnTypes.delete(from);
    for (const key of table.foreignKeys) key.columns = renamed(key.columns);
  }

  /** Whether it is unknown if a change of an index takes place. Then the index gets the doubt, and must stay as it is. */
  isInDoubt(index: SchemaIndex): boolean {
    if (this.doubt === null) return false;
    index.doubt ??= this.doubt;
    return true;
  }

  /** Notes that a change of a table may not take place. */
  doubtTable(table: SchemaTable | undefined): void {
    if (table !== undefined && this.doubt !== null) table.inDoubt = true;
  }
}

/** Whether the statements of a table define a column, also if it inherits the column too. */
function hasOwnColumn({ columnTypes, inheritedColumns }: SchemaTable, column: string): boolean {
  return columnTypes.has(column) && inheritedColumns?.has(column) !== true;
}
