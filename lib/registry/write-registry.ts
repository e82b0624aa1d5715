import { existsSync, mkdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { replaceFile } from '../files/output-file.ts';
import { refusedEntries } from './compile-registry.ts';
import type { IndexEntry } from './define-indexes.ts';
import { inOneLine } from './entry-from-statement.ts';
import { loadRegistry, type RegistryReading, registryKind } from './load-registry.ts';
import { moduleFormOf } from './module-form.ts';
import { RegisteredIndexes } from './registered-indexes.ts';
import { type ModuleForm, newRegistryFile, type RegistryKind } from './registry-text.ts';

interface Written {
  readonly added: readonly IndexEntry[];
  /** Entries that were not written, each with the reason. */
  readonly kept: readonly { readonly entry: IndexEntry; readonly reason: string }[];
}

/**
 * Writes entries to a new registry file, or to the end of an existing one, whose content stays unchanged.
 * @throws RegistryError if the existing file is not a valid registry
 * @throws NoListError if code computes the list of the existing file
 */
export async function writeRegistry(
  file: string,
  entries: readonly IndexEntry[],
  reading: RegistryReading = {},
): Promise<Written> {
  const kind = registryKind(file);
  const exists = existsSync(file);
  const registered = new RegisteredIndexes(exists ? await loadRegistry(file, reading) : [], {
    searchPath: reading.searchPath,
  });
  const checked = entries.map((entry) => ({ entry, reason: reasonToKeep(registered, entry) }));
  const missing = checked.filter(({ reason }) => reason === null).map(({ entry }) => entry);
  // The compiler refuses a new entry whose name could be confused with that of an existing one.
  const existing = registered.entries;
  const refused = await refusedEntries([...existing, ...missing]);
  const added = missing.filter((_entry, position) => !refused.has(existing.length + position));
  const kept = checked.flatMap(({ entry, reason: match }) => {
    const reason = match ?? refused.get(existing.length + missing.indexOf(entry));
    return reason === undefined ? [] : [{ entry, reason }];
  });
  if (!exists) {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, registryText(added, kind, moduleFormOf(file)), { flag: 'wx' });
  } else if (added.length > 0) {
    const { appendEntries } = await import('./append-entries.ts');
    replaceFile(
      realpathSync(file),
      appendEntries(readFileSync(file, 'utf8'), kind, added.map(layout(kind)), file),
    );
  }
  return { added, kept };
}

/** The text of a registry file with these entries. */
export function registryText(entries: readonly IndexEntry[], kind: RegistryKind, form?: ModuleForm): string {
  return newRegistryFile(entries.map(layout(kind)), kind, form);
}

function layout(kind: RegistryKind): (entry: IndexEntry) => IndexEntry {
  return (entry) => (kind === 'json' ? inOneLine(entry) : entry);
}

function reasonToKeep(registered: RegisteredIndexes, entry: IndexEntry): string | null {
  const match = registered.matchOf(entry);
  if (match === null) return null;
  const difference =
    match === 'same' ? ' already' : ', with another definition; check which of the two is correct';
  return `the registry has an entry of this name${difference}`;
}
