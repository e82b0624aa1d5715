import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import type { CompiledIndex } from '../../lambdas/shared/registry.ts';
import { appendEntries, newRegistryFile } from '../registry/append-entries.ts';
import { compileIndex } from '../registry/compile-index.ts';
import type { IndexEntry } from '../registry/define-indexes.ts';
import { loadRegistry, registryKind } from '../registry/load-registry.ts';
import { tokensOf } from '../sql/tokens.ts';
import { refusedByCompiler } from './compiler.ts';
import type { NotTaken } from './source.ts';

/** What became of the entries. */
export interface Written {
  readonly added: readonly IndexEntry[];
  /** Those that the file has already, in words. */
  readonly kept: readonly NotTaken[];
}

/**
 * Writes entries into a registry's file: a new one, or at the end of the one that is there. What that one has stays as it
 * is.
 * @throws RegistryError where what is there is no registry, or a wrong one
 * @throws NoListError where its list is made by code
 */
export async function writeRegistry(file: string, entries: readonly IndexEntry[]): Promise<Written> {
  const kind = registryKind(file);
  if (!existsSync(file)) {
    writeFileSync(file, newRegistryFile(entries, kind), { flag: 'wx' });
    return { added: entries, kept: [] };
  }
  const there = await loadRegistry(file);
  const kept: NotTaken[] = [];
  const added: IndexEntry[] = [];
  for (const entry of entries) {
    const { index } = await compileIndex(entry.sql, entry.name);
    const same = there.find((one) => one.name === index?.name && one.schema === index.schema);
    const reason =
      same === undefined ? null : `the registry has an entry of this name${difference(same, index)}`;
    if (reason === null) added.push(entry);
    else kept.push({ file, line: null, what: `index ${entry.name}`, reason });
  }
  // One that the compiler cannot tell from an entry that is there.
  const refused = await refusedByCompiler([...there.map(asEntry), ...added]);
  const fresh = added.filter((entry, position) => {
    const reason = refused.get(there.length + position);
    if (reason !== undefined) kept.push({ file, line: null, what: `index ${entry.name}`, reason });
    return reason === undefined;
  });
  writeFileSync(file, appendEntries(readFileSync(file, 'utf8'), kind, fresh));
  return { added: fresh, kept };
}

function difference(
  there: CompiledIndex,
  wanted: Pick<CompiledIndex, 'table' | 'unique' | 'definition'> | null,
): string {
  const same =
    wanted !== null &&
    there.table === wanted.table &&
    there.unique === wanted.unique &&
    plain(there.definition) === plain(wanted.definition);
  return same ? ' already' : ', with another definition; see which of the two is meant';
}

/** Word by word, as far as texts can be compared: the server knows better. */
function plain(definition: string): string {
  const words = tokensOf(definition).map(({ text }) => (/^["']/.test(text) ? text : text.toLowerCase()));
  return words.join(' ');
}

function asEntry(index: CompiledIndex): IndexEntry {
  const quote = (name: string) => `"${name.replaceAll('"', '""')}"`;
  const unique = index.unique ? 'unique ' : '';
  const table = `${quote(index.schema)}.${quote(index.table)}`;
  return {
    name: index.name,
    sql: `create ${unique}index concurrently if not exists ${quote(index.name)} on ${table} ${index.definition}`,
    description: index.description,
  };
}
