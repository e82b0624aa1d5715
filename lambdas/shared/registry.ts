import { readFileSync } from 'node:fs';
import * as z from 'zod';
import { BadInput } from './errors.ts';
import { listed } from './text.ts';
import { quoted } from './visible-text.ts';

/**
 * One index of the compiled registry. `lib/registry` parses its statement at synth with PostgreSQL's own parser, so that no
 * function has to parse SQL.
 */
const compiledIndexSchema = z.strictObject({
  /** Name as in the catalog: without schema and quotes, at most 63 bytes. */
  name: z.string().min(1),
  /** Schema of the table and of the index. `public` if the statement names none. */
  schema: z.string().min(1),
  table: z.string().min(1),
  unique: z.boolean(),
  /** The statement from USING on, as in the registry: method, columns, INCLUDE, WITH, TABLESPACE, WHERE. */
  definition: z.string().startsWith('USING '),
  /** Has a WHERE clause. */
  partial: z.boolean(),
  /** Indexes an expression, so the table needs ANALYZE after the build. */
  expression: z.boolean(),
  /** The application does not work without the index: if it fails, the deploy fails. */
  critical: z.boolean(),
  description: z.string(),
  /** Queries (files below database/queries, without .sql) that should use this index. */
  serves: z.array(z.string()),
  onDrift: z.enum(['report', 'rebuild']),
});

export type CompiledIndex = z.infer<typeof compiledIndexSchema>;

export const compiledRegistrySchema = z.array(compiledIndexSchema);

export type CompiledRegistry = z.infer<typeof compiledRegistrySchema>;

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

/**
 * Finds the entry of an index by its id.
 * @throws BadInput that lists the valid ids
 */
export function findIndex(registry: CompiledRegistry, id: string): CompiledIndex {
  const found = registry.find((index) => indexId(index) === id);
  if (found !== undefined) return found;
  throw new BadInput(
    `Index ${quoted(id)} is not in the registry. Valid names: ${listed(registry.map(indexId))}.`,
  );
}
