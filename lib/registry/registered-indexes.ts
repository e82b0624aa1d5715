import { indexKey } from '../../lambdas/postgres/identifiers.ts';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { schemaMatcher } from '../../lambdas/shared/schema-patterns.ts';
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

/** Whether a table exists, as far as the migrations show. */
export type HasTable = (table: { readonly schema: string; readonly name: string }) => boolean;

/** The indexes in a registry, including those that are about to be written into it. */
export class RegisteredIndexes {
  /** As entries, for the compiler. */
  readonly entries: IndexEntry[] = [];
  readonly names: string[] = [];
  /** Identity of each definition, by schema and name. An entry without a schema has the first one of the path. */
  private readonly identities = new Map<string, string>();
  /** The entries whose statement names no schema, by name. */
  private readonly unqualified = new Map<string, Unqualified>();

  /** How the registry is written, and so the entries to paste into it. */
  readonly kind: RegistryKind;
  private readonly path: readonly string[];
  private readonly firstSchema: string;

  constructor(registry: CompiledRegistry, { kind = 'ts', searchPath }: RegisteredOptions = {}) {
    this.kind = kind;
    const path = new SessionPath(searchPath);
    this.path = path.schemas;
    this.firstSchema = path.firstConfigured;
    for (const { name, schema, table, unique, definition, description, constraint, schemas } of registry) {
      const on = quoteTableWhereNeeded({ schema: schema ?? this.firstSchema, name: table }, this.firstSchema);
      const create = `create ${unique ? 'unique ' : ''}index concurrently if not exists ${quoteWhereNeeded(name)}`;
      const entry: IndexEntry = {
        name,
        sql: `${create} on ${on} ${definition}`,
        description,
        ...(constraint && { constraint: { name: constraint.name, type: constraint.type } }),
      };
      this.add(entry);
      if (schema === null) {
        const matches = schemas === undefined ? undefined : schemaMatcher(schemas);
        this.unqualified.set(name, { entry, table, matches });
      }
    }
  }

  /** @param hasTable without it, an entry without a schema matches the index of any schema of the path */
  matchOf(entry: IndexEntry, hasTable: HasTable = () => false): RegistryMatch {
    const { key, schema, identity } = this.identify(entry);
    const registered = this.identities.get(key) ?? this.identityIn(schema, entry.name, hasTable);
    if (registered === undefined) return null;
    return registered === identity ? 'same' : 'different';
  }

  add(entry: IndexEntry): void {
    const { key, identity } = this.identify(entry);
    this.entries.push(entry);
    this.names.push(entry.name);
    this.identities.set(key, identity);
  }

  /** The identity of an entry without a schema in a schema. Undefined: no entry has its index there. */
  private identityIn(schema: string, name: string, hasTable: HasTable): string | undefined {
    const found = this.unqualified.get(name);
    if (found === undefined || !this.isIn(schema, found, hasTable)) return undefined;
    return this.identify(found.entry, schema).identity;
  }

  /** Whether an entry without a schema has its index in a schema: a table in an earlier schema of the path comes first. */
  private isIn(schema: string, { table, matches }: Unqualified, hasTable: HasTable): boolean {
    if (matches !== undefined) return matches(schema);
    const position = this.path.indexOf(schema);
    return (
      position !== -1 &&
      !this.path.slice(0, position).some((earlier) => hasTable({ schema: earlier, name: table }))
    );
  }

  private identify(
    { name, sql }: IndexEntry,
    otherwise = this.firstSchema,
  ): { key: string; schema: string; identity: string } {
    const statement = readSql(sql).statements[0]?.node?.IndexStmt ?? {};
    const schema = statement.relation?.schemaname ?? otherwise;
    const { identity } = shapeOf(statement, () => otherwise);
    return { key: indexKey({ schema, name }), schema, identity };
  }
}

/** An entry whose statement names no schema. */
interface Unqualified {
  readonly entry: IndexEntry;
  readonly table: string;
  /** Undefined: the search path decides. */
  readonly matches: ((schema: string) => boolean) | undefined;
}
