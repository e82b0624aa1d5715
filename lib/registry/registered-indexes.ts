import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { quoteTableWhereNeeded, quoteWhereNeeded } from '../sql/quote-where-needed.ts';
import { readSql } from '../sql/read-sql.ts';
import type { IndexEntry } from './define-indexes.ts';
import { shapeOf } from './index-shape.ts';

/** How an entry stands in the registry: there, there under its name with another definition, or not at all. */
export type Standing = 'same' | 'other' | null;

/** The indexes that a registry lists, and those that are about to be written into it. */
export class RegisteredIndexes {
  /** What is listed, as the compiler is given it. */
  readonly entries: IndexEntry[] = [];
  readonly names: string[] = [];
  /** By schema and name. */
  private readonly identities = new Map<string, string>();

  constructor(registry: CompiledRegistry) {
    for (const { name, schema, table, unique, definition, description } of registry) {
      const on = quoteTableWhereNeeded({ schema, name: table });
      const create = `create ${unique ? 'unique ' : ''}index concurrently if not exists ${quoteWhereNeeded(name)}`;
      this.add({ name, sql: `${create} on ${on} ${definition}`, description });
    }
  }

  standingOf(entry: IndexEntry): Standing {
    const { key, identity } = read(entry);
    const there = this.identities.get(key);
    if (there === undefined) return null;
    return there === identity ? 'same' : 'other';
  }

  add(entry: IndexEntry): void {
    const { key, identity } = read(entry);
    this.entries.push(entry);
    this.names.push(entry.name);
    this.identities.set(key, identity);
  }
}

function read({ name, sql }: IndexEntry): { key: string; identity: string } {
  const statement = readSql(sql).statements[0]?.node?.IndexStmt ?? {};
  const schema = statement.relation?.schemaname ?? 'public';
  return { key: JSON.stringify([schema, name]), identity: shapeOf(statement).identity };
}
