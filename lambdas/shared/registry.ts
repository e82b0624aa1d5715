import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { BadInput } from './errors.ts';
import { listed } from './text.ts';

/**
 * One index of the registry as `lib/registry` compiles it at synth and as the functions read it.
 * The statement is taken apart once, by PostgreSQL's own parser, so that no function ever reads SQL.
 */
export const compiledIndexSchema = z.strictObject({
  /** Name without schema, as the catalog has it: at most 63 bytes, unquoted. */
  name: z.string().min(1),
  /** Schema of the table, and so of the index. A table without one is in `public`. */
  schema: z.string().min(1),
  table: z.string().min(1),
  unique: z.boolean(),
  /** The statement from USING on, as written: method, columns, INCLUDE, WITH, TABLESPACE, WHERE. */
  definition: z.string().startsWith('USING '),
  /** Has a WHERE clause. */
  partial: z.boolean(),
  /** Indexes an expression, so the table wants ANALYZE afterwards. */
  expression: z.boolean(),
  /** The application does not work without it: its failure fails the deploy. */
  critical: z.boolean(),
  description: z.string(),
  /** Queries (files below database/queries, without .sql) that should use this index. */
  serves: z.array(z.string()),
  onDrift: z.enum(['report', 'rebuild']),
});

export type CompiledIndex = z.infer<typeof compiledIndexSchema>;

export const compiledRegistrySchema = z.array(compiledIndexSchema);

export type CompiledRegistry = z.infer<typeof compiledRegistrySchema>;

/** The file, beside a function's code, that holds the compiled registry. */
export const REGISTRY_FILE = 'registry.json';

/** Reads the compiled registry from the file beside a function's code. */
export function readRegistry(functionDirectory: string): CompiledRegistry {
  return compiledRegistrySchema.parse(
    JSON.parse(readFileSync(`${functionDirectory}/${REGISTRY_FILE}`, 'utf8')),
  );
}

/** The folder, beside a function's code, that holds the migrations. */
export const MIGRATIONS_FOLDER = 'migrations';

/** How executions, lanes and messages call an index: its name, with the schema before it where that is not `public`. */
export function indexId(index: { schema: string; name: string }): string {
  return index.schema === 'public' ? index.name : `${index.schema}.${index.name}`;
}

/** How messages call the table of an index, in the same manner. */
export function tableId(index: { schema: string; table: string }): string {
  return indexId({ schema: index.schema, name: index.table });
}

/**
 * The entry of an index, by its id.
 * @throws BadInput listing the ids that there are.
 */
export function findIndex(registry: CompiledRegistry, id: string): CompiledIndex {
  const found = registry.find((index) => indexId(index) === id);
  if (found !== undefined) return found;
  throw new BadInput(`Index "${id}" is not in the registry. Valid names: ${listed(registry.map(indexId))}.`);
}
