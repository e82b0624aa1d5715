import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import type { IndexEntry } from '../registry/define-indexes.ts';
import { readSql } from '../sql/read-sql.ts';
import { quoteWhereNeeded } from '../sql/tokens.ts';
import type { Standing } from './migrations/index-problems.ts';
import { shapeOfStatement } from './registry/index-shape.ts';

/** The indexes that a registry lists, and those that are about to be moved into it. */
export class Registered {
  /** By the name as statements have it; a name is one index's in its schema. */
  private readonly definitions = new Map<string, string>();

  constructor(registry: CompiledRegistry) {
    for (const { name, schema, table, unique, definition } of registry) {
      const on = `${quoteWhereNeeded(schema)}.${quoteWhereNeeded(table)}`;
      const sql = `create ${unique ? 'unique ' : ''}index ${quoteWhereNeeded(name)} on ${on} ${definition}`;
      this.add({ name, sql });
    }
  }

  get names(): string[] {
    return [...this.definitions.keys()];
  }

  standingOf({ name, sql }: Pick<IndexEntry, 'name' | 'sql'>): Standing {
    const there = this.definitions.get(name);
    if (there === undefined) return null;
    return there === identityOf(sql) ? 'same' : 'other';
  }

  add({ name, sql }: Pick<IndexEntry, 'name' | 'sql'>): void {
    this.definitions.set(name, identityOf(sql));
  }
}

/** Equal for statements that define the same index, under whatever names. */
function identityOf(sql: string): string {
  return shapeOfStatement(readSql(sql).statements[0]?.node?.IndexStmt ?? {}).identity;
}
