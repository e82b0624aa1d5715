import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Finding } from '../../lib/lint/finding.ts';
import { type LintRegistryOptions, lintRegistry } from '../../lib/lint/registry/lint-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';

/** An entry of the name for `TABLE (COLUMNS) …`, as its statement goes on behind ON. */
export function entry(name: string, on: string, accept?: Record<string, string>, unique = ''): IndexEntry {
  const sql = `create ${unique} index concurrently if not exists ${name} on ${on}`;
  return { name, sql, description: 'For a test', ...(accept && { accept }) };
}

/** What the linter finds in a registry of these entries, a line each. */
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

/** `RULE of NAME` each, in order; the entry's name as the message has it. */
export async function rulesFound(
  entries: readonly unknown[],
  options?: LintRegistryOptions,
): Promise<string[]> {
  const findings = await lintEntries(entries, options);
  return findings.map(({ rule, message }) => `${rule} of ${/^entry \d+ "(.*?)"/.exec(message)?.[1]}`);
}
