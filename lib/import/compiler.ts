import type { IndexEntry } from '../registry/define-indexes.ts';
import { NO_PLACES } from '../registry/entry-places.ts';
import { examineRegistry } from '../registry/examine-registry.ts';
import { problemText } from '../registry/registry-error.ts';

/** What the compiler says of each entry that it refuses, by its position: no import hands out what does not compile. */
export async function refusedByCompiler(entries: readonly IndexEntry[]): Promise<Map<number, string>> {
  const refused = new Map<number, string>();
  for (const problem of (await examineRegistry([...entries], 'the import', NO_PLACES)).problems) {
    const position = Number(/^entry (\d+)/.exec(problem.entry)?.[1]) - 1;
    if (!refused.has(position)) refused.set(position, problemText({ ...problem, entry: '' }));
  }
  return refused;
}
