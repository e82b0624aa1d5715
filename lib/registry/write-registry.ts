import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { refusedEntries } from './compile-registry.ts';
import type { IndexEntry } from './define-indexes.ts';
import { inOneLine } from './entry-from-statement.ts';
import { loadRegistry, registryKind } from './load-registry.ts';
import { RegisteredIndexes } from './registered-indexes.ts';
import { newRegistryFile, type RegistryKind } from './registry-text.ts';

/** What became of the entries. */
export interface Written {
  readonly added: readonly IndexEntry[];
  /** Those that the file has already, or has under their name. */
  readonly kept: readonly { readonly entry: IndexEntry; readonly reason: string }[];
}

/**
 * Writes entries into a registry's file: a new one, or at the end of the one that is there. What that one has stays as it
 * is.
 * @throws RegistryError where what is there is no registry, or a wrong one
 * @throws NoListError where its list is made by code
 */
export async function writeRegistry(file: string, entries: readonly IndexEntry[]): Promise<Written> {
  const kind = registryKind(file);
  const isThere = existsSync(file);
  const registered = new RegisteredIndexes(isThere ? await loadRegistry(file) : []);
  const judged = entries.map((entry) => ({ entry, reason: reasonToKeep(registered, entry) }));
  const fresh = judged.filter(({ reason }) => reason === null).map(({ entry }) => entry);
  // One that the compiler cannot tell from an entry that is there.
  const there = registered.entries;
  const refused = await refusedEntries([...there, ...fresh]);
  const added = fresh.filter((_entry, position) => !refused.has(there.length + position));
  const kept = judged.flatMap(({ entry, reason }) => {
    const why = reason ?? refused.get(there.length + fresh.indexOf(entry));
    return why === undefined ? [] : [{ entry, reason: why }];
  });
  if (!isThere) writeFileSync(file, registryText(added, kind), { flag: 'wx' });
  else if (added.length > 0) {
    const { appendEntries } = await import('./append-entries.ts');
    writeFileSync(file, appendEntries(readFileSync(file, 'utf8'), kind, added.map(layout(kind)), file));
  }
  return { added, kept };
}

/** A registry's file, whole. */
export function registryText(entries: readonly IndexEntry[], kind: RegistryKind): string {
  return newRegistryFile(entries.map(layout(kind)), kind);
}

function layout(kind: RegistryKind): (entry: IndexEntry) => IndexEntry {
  return (entry) => (kind === 'json' ? inOneLine(entry) : entry);
}

function reasonToKeep(registered: RegisteredIndexes, entry: IndexEntry): string | null {
  const standing = registered.standingOf(entry);
  if (standing === null) return null;
  const difference =
    standing === 'same' ? ' already' : ', with another definition; see which of the two is meant';
  return `the registry has an entry of this name${difference}`;
}
