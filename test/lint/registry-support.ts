import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '../../lib/lint/finding.ts';
import { type LintRegistryOptions, lintRegistry } from '../../lib/lint/registry/lint-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { readSql } from '../../lib/sql/read-sql.ts';
import { applyStatement } from '../../lib/sql/schema/apply-statement.ts';
import { Schema } from '../../lib/sql/schema/schema-model.ts';

/** An entry with this name; `on` is its statement from ON: `TABLE (COLUMNS) …`. */
export function entry(name: string, on: string, accept?: Record<string, string>, unique = ''): IndexEntry {
  const sql = `create ${unique} index concurrently if not exists ${name} on ${on}`;
  return { name, sql, description: 'For a test', ...(accept && { accept }) };
}

/** The findings in a registry with these entries, each on its own line. */
export async function lintEntries(
  entries: readonly unknown[],
  options?: LintRegistryOptions,
): Promise<Finding[]> {
  const folder = await mkdtemp(join(tmpdir(), 'lint-'));
  try {
    const file = join(folder, 'indexes.json');
    await writeFile(file, `[\n${entries.map((one) => JSON.stringify(one)).join(',\n')}\n]`);
    return await lintRegistry(file, options);
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** `RULE of NAME` for each finding, in order; the name is the one in the message. */
export async function rulesFound(
  entries: readonly unknown[],
  options?: LintRegistryOptions,
): Promise<string[]> {
  const findings = await lintEntries(entries, options);
  return findings.map(({ rule, message }) => `${rule} of ${/^entry \d+ "(.*?)"/.exec(message)?.[1]}`);
}

/** The schema that these statements create. */
export function schemaOf(sql: string, file = 'schema.sql'): Schema {
  const schema = new Schema();
  for (const statement of readSql(sql).statements) applyStatement(schema, file, statement);
  return schema;
}
