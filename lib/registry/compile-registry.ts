import { z } from 'zod';
import { mistakenFor } from '../../lambdas/shared/build-item.ts';
import {
  type CompiledIndex,
  type CompiledRegistry,
  compiledRegistrySchema,
  indexId,
} from '../../lambdas/shared/registry.ts';
import { compileIndex } from './compile-index.ts';
import type { IndexEntry } from './define-indexes.ts';
import { RegistryError, type RegistryProblem } from './registry-error.ts';

const entrySchema = z.strictObject({
  name: z.string().min(1),
  sql: z.string(),
  critical: z.boolean().default(false),
  description: z.string().trim().min(1),
  serves: z.array(z.string().min(1)).default([]),
  onDrift: z.enum(['report', 'rebuild']).default('report'),
  accept: z.record(z.string(), z.string().trim().min(1)).default({}),
}) satisfies z.ZodType<unknown, IndexEntryInput>;

type IndexEntryInput = Omit<IndexEntry, 'serves' | 'critical' | 'onDrift' | 'accept'> & {
  serves?: string[] | undefined;
  critical?: boolean | undefined;
  onDrift?: IndexEntry['onDrift'] | undefined;
  accept?: Record<string, string> | undefined;
};

const FIELDS: Readonly<Record<keyof IndexEntry, string>> = {
  name: 'it must be the name of the index, as text that is not empty',
  sql: 'it must be one CREATE INDEX statement, as text',
  critical: 'it must be true or false',
  description: 'it must say in a sentence what the index is for',
  serves: 'it must be a list of files below database/queries, without .sql',
  onDrift: 'it must be "report" or "rebuild"',
  accept: 'it must give a reason for each rule, as text that is not empty: { RULE: reason }',
};

/**
 * Compiles a registry: the form that is shipped with the functions, in the order of the entries.
 * @param entries what the registry's file holds: anything.
 * @param source the file's name, for messages.
 * @throws RegistryError with every problem of every entry.
 */
export async function compileRegistry(entries: unknown, source: string): Promise<CompiledRegistry> {
  if (!Array.isArray(entries)) {
    const message =
      'it must hold a list of entries; write export default defineIndexes([{ name, sql, description }]) or a JSON array';
    throw new RegistryError(source, [{ entry: '', field: '', message }]);
  }
  const problems: RegistryProblem[] = [];
  const compiled: CompiledIndex[] = [];
  const labels: string[] = [];
  const places = new Map<string, string>();
  for (const [position, raw] of entries.entries()) {
    const entry = label(position, raw);
    const result = await compileEntry(raw);
    problems.push(...result.problems.map((problem) => ({ entry, ...problem })));
    if (result.index === null) continue;
    compiled.push(result.index);
    labels.push(entry);
    const key = JSON.stringify([result.index.schema, result.index.name]);
    const earlier = places.get(key);
    if (earlier !== undefined) {
      const message = `${earlier} has this name in schema "${result.index.schema}" too; give each its own, or remove one`;
      problems.push({ entry, field: 'name', message });
    }
    places.set(key, earlier ?? entry);
  }
  problems.push(...mistakableProblems(compiled, labels));
  if (problems.length > 0) throw new RegistryError(source, problems);
  return compiledRegistrySchema.parse(compiled);
}

/** What is executed, written down and reported goes by one text for each index, with its schema and its partitions. */
function mistakableProblems(
  compiled: readonly CompiledIndex[],
  labels: readonly string[],
): RegistryProblem[] {
  const byId = Map.groupBy(compiled, indexId);
  return compiled.flatMap((index, position) => {
    const id = indexId(index);
    // Hardly a name has an @ in it, and each of thousands against each other one would take long.
    const other = mistakenFor(index, id.includes('@') ? compiled : (byId.get(id) ?? []));
    // The same name in the same schema is told by itself.
    if (other === undefined || (other.schema === index.schema && other.name === index.name)) return [];
    const message =
      `executions and reports call it "${id}", which cannot be told from "${indexId(other)}" ` +
      `(index "${other.name}" in schema "${other.schema}") or a partition's part of it; rename one`;
    return [{ entry: labels[position] ?? '', field: 'name', message }];
  });
}

type EntryProblem = Omit<RegistryProblem, 'entry'>;

/** An entry whose other fields are wrong still has its statement checked. */
async function compileEntry(
  raw: unknown,
): Promise<{ index: CompiledIndex | null; problems: EntryProblem[] }> {
  const shape = entrySchema.safeParse(raw);
  const problems: EntryProblem[] = shape.success ? [] : shape.error.issues.flatMap(describeIssue);
  const sql = textField(raw, 'sql');
  if (sql === undefined) return { index: null, problems };
  const statement = await compileIndex(sql, textField(raw, 'name') || undefined);
  problems.push(...statement.problems);
  if (!shape.success || statement.index === null) return { index: null, problems };
  const { critical, description, serves, onDrift } = shape.data;
  return { index: { ...statement.index, critical, description, serves, onDrift }, problems };
}

function describeIssue(issue: z.core.$ZodIssue): EntryProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((field) => ({
      field,
      message: `unknown field; valid fields: ${Object.keys(FIELDS).join(', ')}`,
    }));
  }
  const field = issue.path[0];
  if (field === undefined) return [{ field: '', message: 'it must be an object { name, sql, description }' }];
  return [{ field: issue.path.join('.'), message: FIELDS[field as keyof IndexEntry] }];
}

function label(position: number, raw: unknown): string {
  const name = textField(raw, 'name');
  return name ? `entry ${position + 1} "${name}"` : `entry ${position + 1}`;
}

function textField(raw: unknown, field: 'name' | 'sql'): string | undefined {
  if (typeof raw !== 'object' || raw === null) return undefined;
  const value = (raw as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : undefined;
}
