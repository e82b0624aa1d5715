import { indexKey } from '../../lambdas/postgres/identifiers.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { quoteTableWhereNeeded, quoteWhereNeeded } from '../sql/quote-where-needed.ts';
import { readSql } from '../sql/read-sql.ts';
import { SessionPath } from '../sql/schema/session-path.ts';
import type { IndexEntry } from './define-indexes.ts';
import { shapeOf } from './index-shape.ts';
import type { RegistryKind } from './registry-text.ts';

/** What the registry contains under the schema and name of an entry: the same index, a different one, or nothing (null). */
export type RegistryMatch = 'same' | 'different' | null;

interface RegisteredOptions {
  /** @default 'ts' */
  readonly kind?: RegistryKind;
  /** In which entries without a schema are looked up. @default public */
  readonly searchPath?: readonly string[] | undefined;
}

/** The indexes in a registry, including those that are about to be written into it. */
export class RegisteredIndexes {
  /** As entries, for the compiler. */
  readonly entries: IndexEntry[] = [];
  readonly names: string[] = [];
  /** Identity of each definition, by schema and name. */
  private readonly identities = new Map<string, string>();

  /** How the registry is written, and so the entries to paste into it. */
  readonly kind: RegistryKind;
  private readonly firstSchema: string;

  constructor(registry: CompiledRegistry, { kind = 'ts', searchPath }: RegisteredOptions = {}) {
    this.kind = kind;
    this.firstSchema = new SessionPath(searchPath).firstConfigured;
    for (const { name, schema, table, unique, definition, description, constraint } of registry) {
      const on = quoteTableWhereNeeded({ schema: schema ?? this.firstSchema, name: table }, this.firstSchema);
      const create = `create ${unique ? 'unique ' : ''}index concurrently if not exists ${quoteWhereNeeded(name)}`;
      this.add({
        name,
        sql: `${create} on ${on} ${definition}`,
        description,
        ...(constraint && { constraint: { name: constraint.name, type: constraint.type } }),
      });
    }
  }

  matchOf(entry: IndexEntry): RegistryMatch {
    const { key, identity } = this.identify(entry);
    const registered = this.identities.get(key);
    if (registered === undefined) return null;
    return registered === identity ? 'same' : 'different';
  }

  add(entry: IndexEntry): void {
    const { key, identity } = this.identify(entry);
    this.entries.push(entry);
    this.names.push(entry.name);
    this.identities.set(key, identity);
  }

  private identify({ name, sql }: IndexEntry): { key: string; identity: string } {
    const statement = readSql(sql).statements[0]?.node?.IndexStmt ?? {};
    const schema = statement.relation?.schemaname ?? this.firstSchema;
    const { identity } = shapeOf(statement, () => this.firstSchema);
    return { key: indexKey({ schema, name }), identity };
  }
}
