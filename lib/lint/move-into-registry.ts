import { readFileSync, realpathSync } from 'node:fs';
import { relative } from 'node:path';
import { oneLine } from '../../lambdas/shared/visible-text.ts';
import { replaceFile } from '../files/output-file.ts';
import type { RegistryReading } from '../registry/load-registry.ts';
import type { RegisteredIndexes } from '../registry/registered-indexes.ts';
import { writeRegistry } from '../registry/write-registry.ts';
import { decodeUtf8 } from '../sql/decode-utf8.ts';
import type { LintResult, MovedIndex } from './format-result.ts';
import type { Move } from './migrations/movable-index.ts';

/**
 * Replaces each moved statement of a migration with a comment that names the registry. The rest of the text is unchanged:
 * its line ends, its byte order mark, and what is before and after the statement on its line.
 * @param registry the path of the registry, for the comment
 */
export function withoutMoved(text: string, moves: readonly Move[], registry: string): string {
  // The offsets do not count a byte order mark.
  const mark = text.startsWith('\ufeff') ? '\ufeff' : '';
  const lineEnd = /\r\n|\n|\r/.exec(text)?.[0] ?? '\n';
  const content = text.slice(mark.length);
  // From the end to the start. Each part is read once: a dump can have thousands of indexes.
  const parts: string[] = [];
  let end = content.length;
  for (const { inFile, entry } of inReverse(moves)) {
    const after = content.slice(inFile.next, end);
    // Text on the same line would become a part of the comment. Drizzle's marks start like comments.
    const isAlone = /^[ \t]*(?:--(?!>)|\r|\n|$)/.test(after);
    const separator = isAlone ? '' : lineEnd;
    parts.push(
      after,
      `-- pg-deploy-step: moved ${oneLine(entry.name)} into ${oneLine(registry)}${separator}`,
    );
    end = inFile.start;
  }
  return mark + [...parts, content.slice(0, end)].reverse().join('');
}

/** From the end of the text, each statement once: links and repeated paths show one file several times. */
function inReverse(moves: readonly Move[]): Move[] {
  const byStart = new Map(moves.map((move) => [move.inFile.start, move]));
  return [...byStart.values()].toSorted((a, b) => b.inFile.start - a.inFile.start);
}

/**
 * The text of a migration, as it was read for the linter.
 * @throws Error if the file is not UTF-8, or its statements have changed since
 */
function textToFix(file: string, moves: readonly Move[]): string {
  const bytes = readFileSync(file);
  const { text, problem } = decodeUtf8(bytes);
  if (problem !== null) throw new Error(`${file}:${problem.line}:${problem.column}: ${problem.message}`);
  const changed = moves.some(({ inFile }) => text.slice(inFile.start, inFile.end) !== inFile.text);
  if (changed) {
    throw new Error(
      `${file} has changed since it was linted, so its statements stay there. Their entries are in the registry: run lint --fix again.`,
    );
  }
  return bytes.toString('utf8');
}

/**
 * Moves CREATE INDEX statements into the registry. It writes the entries before it changes the migrations, so that no index
 * is lost if it stops in between. An index that the registry lists with the same definition is only removed from its file.
 * An index that the registry lists with another definition is not moved.
 * @param registry the path of the registry, and how to read it; the file is created if it does not exist
 * @throws NoListError if the registry has no list that entries can be added to
 */
export async function moveIntoRegistry(
  moves: readonly Move[],
  { file: registry, ...reading }: RegistryReading & { readonly file: string },
  registered: RegisteredIndexes,
  whyNotMovable: (move: Move) => string | null,
): Promise<Pick<LintResult, 'moved' | 'kept'>> {
  const decided = moves.map((move) => {
    const match = registered.matchOf(move.entry);
    const reason =
      match === 'different' ? 'the registry lists it with another definition' : whyNotMovable(move);
    const isNew = match === null && reason === null;
    if (isNew) registered.add(move.entry);
    return { move, reason, isNew };
  });
  const entries = decided.filter(({ isNew }) => isNew).map(({ move }) => move.entry);
  const refused = entries.length === 0 ? [] : (await writeRegistry(registry, entries, reading)).kept;
  // An index that was not written to the registry must stay in its file.
  const results = decided.map(({ move, reason }) => ({
    move,
    reason: reason ?? refused.find(({ entry }) => entry.name === move.entry.name)?.reason ?? null,
  }));
  const moved = results.filter(({ reason }) => reason === null).map(({ move }) => move);
  for (const [file, members] of Map.groupBy(moved, ({ finding }) => realpathSync(finding.file))) {
    replaceFile(file, withoutMoved(textToFix(file, members), members, relative(process.cwd(), registry)));
  }
  return {
    moved: moved.map(movedIndex),
    kept: results.flatMap(({ move, reason }) => (reason === null ? [] : [{ ...movedIndex(move), reason }])),
  };
}

function movedIndex({ entry, finding: { file, line } }: Move): MovedIndex {
  return { name: entry.name, file, line };
}
