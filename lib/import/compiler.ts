import type { IndexEntry } from '../registry/define-indexes.ts';
import { NO_PLACES } from '../registry/entry-places.ts';
import { examineRegistry } from '../registry/examine-registry.ts';
import { problemText } from '../registry/registry-error.ts';

/**
 * What the compiler says of each entry that it refuses, by its position: no import hands out what does not compile. Of
 * entries that cannot be told from each other the first stays.
 */
export async function refusedByCompiler(entries: readonly IndexEntry[]): Promise<Map<number, string>> {
  const refused = new Map<number, string>();
  for (;;) {
    const left = [...entries.keys()].filter((position) => !refused.has(position));
    const { problems } = await examineRegistry(
      left.map((position) => entries[position]),
      'the import',
      NO_PLACES,
    );
    const found = problems.map((problem) => ({
      position: left[Number(/^entry (\d+)/.exec(problem.entry)?.[1]) - 1] ?? -1,
      own: problem.rule !== 'duplicate-name',
      reason: problemText({ ...problem, entry: '' }),
    }));
    const own = found.filter((one) => one.own);
    // Two that are alike each tell of the other one.
    const last = found.toSorted((a, b) => b.position - a.position).slice(0, 1);
    const now = own.length > 0 ? own : last;
    if (now.length === 0) return refused;
    for (const { position, reason } of now) if (!refused.has(position)) refused.set(position, reason);
  }
}
