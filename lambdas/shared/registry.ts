import { readFileSync } from 'node:fs';
import { schemaMatcher } from './schema-patterns.ts';
import * as z from './zod.ts';

/** The constraint that the deploy adds to the table with an index. `lib/registry` checks that the index is suitable. */
const compiledConstraintSchema = z.strictObject({
  /** As in the catalog. ADD CONSTRAINT … USING INDEX gives the index this name. */
  name: z.string().check(z.minLength(1)),
  type: z.enum(['unique', 'primary key']),
  /** Key columns, in the order of the index. */
  columns: z.array(z.string().check(z.minLength(1))).check(z.minLength(1)),
  /** The columns of INCLUDE. */
  include: z.array(z.string().check(z.minLength(1))),
  /** NULLS NOT DISTINCT, from PostgreSQL 15 on. */
  nullsNotDistinct: z.boolean(),
});

export type CompiledConstraint = z.infer<typeof compiledConstraintSchema>;

/** The deploy drops the index. `lib/registry` checks the date. */
const retiredSchema = z.strictObject({
  /** YYYY-MM-DD. The index is not dropped before. */
  since: z.string(),
  reason: z.string(),
  /** Drop it without a grace period without scans. */
  force: z.boolean(),
});

/** A name without a schema, or a schema and a name. */
const nameSchema = z.array(z.string());

/** What a definition names. A name without a schema is looked up in the search path. */
const referencesSchema = z.strictObject({
  /** The access method. */
  method: z.string(),
  /** Columns of the table: keys, INCLUDE, and those in expressions and the predicate. */
  columns: z.array(z.string()),
  functions: z.array(nameSchema),
  types: z.array(nameSchema),
  collations: z.array(nameSchema),
  operatorClasses: z.array(nameSchema),
});

export type References = z.infer<typeof referencesSchema>;

/**
 * One entry of the compiled registry. `lib/registry` parses its statement at synth with PostgreSQL's own parser, so that no
 * function has to parse SQL.
 */
const registryEntrySchema = z.strictObject({
  /** Name as in the catalog: without schema and quotes, at most 63 bytes. */
  name: z.string().check(z.minLength(1)),
  /** Schema of the table and of the index. Null: the statement names none, so the search path of the database decides. */
  schema: z.nullable(z.string().check(z.minLength(1))),
  /** The index is built in every schema that matches: see schema-patterns.ts. Undefined: in one schema. */
  schemas: z.optional(z.array(z.string().check(z.minLength(1))).check(z.minLength(1))),
  table: z.string().check(z.minLength(1)),
  unique: z.boolean(),
  /** The statement from USING on, as in the registry: method, columns, INCLUDE, WITH, TABLESPACE, WHERE. */
  definition: z.string().check(z.startsWith('USING ')),
  /**
   * The same as pg_get_indexdef prints it, without storage options, and with every name in double quotes: each server decides
   * which of them it omits. An asterisk outside of quotes stands for what depends on types, collations and operator classes.
   */
  spelling: z.optional(
    z.strictObject({
      text: z.string().check(z.startsWith('USING ')),
      /** Each server prints exactly this text: it has no asterisk, and the definition no storage options. */
      complete: z.boolean(),
    }),
  ),
  /** Has a WHERE clause. */
  partial: z.boolean(),
  /** For the check that everything exists, before anything is stopped. */
  references: referencesSchema,
  /** Indexes an expression, so the table needs ANALYZE after the build. */
  expression: z.boolean(),
  /** The application does not work without the index: if it fails, the deploy fails. */
  critical: z.boolean(),
  description: z.string(),
  /** Queries (files below database/queries, without .sql) that should use this index. */
  serves: z.array(z.string()),
  onDrift: z.enum(['report', 'rebuild']),
  /** Undefined: the index enforces no constraint. */
  constraint: z.optional(compiledConstraintSchema),
  /** Undefined: the index is to exist. */
  retired: z.optional(retiredSchema),
});

export type RegistryEntry = z.infer<typeof registryEntrySchema>;

export const compiledRegistrySchema = z.array(registryEntrySchema);

/** The entries that are shipped with the functions. `resolveRegistry` finds their indexes in a database. */
export type CompiledRegistry = z.infer<typeof compiledRegistrySchema>;

/** One index of a database: an entry with the schema in which the database has its table. */
export interface CompiledIndex extends Omit<RegistryEntry, 'schema'> {
  /** Schema of the table and of the index. */
  readonly schema: string;
  /** The id of its entry: see `entryId`. */
  readonly entryId: string;
}

/** The file beside a function's code with the compiled registry. */
export const REGISTRY_FILE = 'registry.json';

/** Reads the compiled registry from the file beside a function's code. */
export function readRegistry(functionDirectory: string): CompiledRegistry {
  return compiledRegistrySchema.parse(
    JSON.parse(readFileSync(`${functionDirectory}/${REGISTRY_FILE}`, 'utf8')),
  );
}

/** The folder beside a function's code with the migrations. */
export const MIGRATIONS_FOLDER = 'migrations';

/** Name of an index in executions, lanes and messages: NAME, or SCHEMA.NAME if the schema is not `public`. */
export function indexId(index: { schema: string; name: string }): string {
  return index.schema === 'public' ? index.name : `${index.schema}.${index.name}`;
}

/** Name of a table in messages, in the same form. */
export function tableId(index: { schema: string; table: string }): string {
  return indexId({ schema: index.schema, name: index.table });
}

/** Name of an entry in executions and messages: as its statement names the index. It is unique in a registry. */
export function entryId({ schema, name }: Pick<RegistryEntry, 'schema' | 'name'>): string {
  return indexId({ schema: schema ?? 'public', name });
}

/** The index of an entry in a schema. */
export function inSchema(entry: RegistryEntry, schema: string): CompiledIndex {
  return { ...entry, schema, entryId: entryId(entry) };
}

/**
 * Finds the index that an id names. Its schema comes from the id, so an index that was planned stays the same index however
 * the search path changes.
 * @param id of an index in any database: see `indexId`
 * @returns undefined if no entry can have this index
 */
export function indexOfId(registry: CompiledRegistry, id: string): CompiledIndex | undefined {
  // A name can contain a dot: of two readings, the one without a schema counts. A registry with both is refused.
  const whole = registry.find((entry) => entryId(entry) === id);
  if (whole !== undefined) return inSchema(whole, whole.schema ?? 'public');
  for (const entry of registry) {
    const schema = entry.schema === null ? schemaIn(id, entry.name) : null;
    if (schema !== null && (entry.schemas === undefined || schemaMatcher(entry.schemas)(schema)))
      return inSchema(entry, schema);
  }
  return undefined;
}

/** The schema in SCHEMA.NAME. Null: the text is another one. */
export function schemaIn(id: string, name: string): string | null {
  return id.endsWith(`.${name}`) && id.length > name.length + 1 ? id.slice(0, -name.length - 1) : null;
}
