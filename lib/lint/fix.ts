import { readFileSync, writeFileSync } from 'node:fs';
import { relative } from 'node:path';
import type { RegisteredIndexes } from '../registry/registered-indexes.ts';
import { writeRegistry } from '../registry/write-registry.ts';
import type { LintResult, MovedIndex } from './format.ts';
import type { Move } from './migrations/movable.ts';

/**
 * A migration without the statements that moved into the registry: a comment in the place of each tells where it went.
 * Everything else stays as it is.
 * @param registry the registry's file, as the reader knows it
 */
export function withoutMoved(text: string, moves: readonly Move[], registry: string): string {
  // The offsets do not count a byte order mark.
  const mark = text.startsWith('\ufeff') ? '\ufeff' : '';
  let fixed = text.slice(mark.length);
  for (const { statement, entry } of moves.toSorted((a, b) => b.statement.start - a.statement.start)) {
    const rest = fixed.slice(statement.next);
    // What follows on the line would become a part of the comment; Drizzle's marks begin as comments do.
    const apart = /^[ \t]*(?:--(?!>)|\r?\n|$)/.test(rest) ? '' : '\n';
    const comment = `-- pg-deploy-step: moved ${oneLine(entry.name)} into ${registry}${apart}`;
    fixed = fixed.slice(0, statement.start) + comment + rest;
  }
  return mark + fixed;
}

function oneLine(name: string): string {
  return name.replaceAll(/\s/g, ' ');
}

/**
 * Moves CREATE INDEX statements into the registry: writes the entries first, so that nothing is lost on the way, then takes
 * the statements out of their files. What the registry lists already with the same definition is only taken out; what it
 * lists otherwise stays where it is.
 * @param registry the registry's file; it is made where it is not there
 * @throws NoListError where entries cannot be written into it
 */
export async function moveIntoRegistry(
  moves: readonly Move[],
  registry: string,
  registered: RegisteredIndexes,
  whyNotMovable: (move: Move) => string | null,
): Promise<Pick<LintResult, 'moved' | 'kept'>> {
  const judged = moves.map((move) => {
    const standing = registered.standingOf(move.entry);
    const reason =
      standing === 'other' ? 'the registry lists it with another definition' : whyNotMovable(move);
    const isNew = standing === null && reason === null;
    if (isNew) registered.add(move.entry);
    return { move, reason, isNew };
  });
  const entries = judged.filter(({ isNew }) => isNew).map(({ move }) => move.entry);
  const refused = entries.length === 0 ? [] : (await writeRegistry(registry, entries)).kept;
  // What did not get into the registry must not leave its file.
  const told = judged.map(({ move, reason }) => ({
    move,
    reason: reason ?? refused.find(({ entry }) => entry.name === move.entry.name)?.reason ?? null,
  }));
  const going = told.filter(({ reason }) => reason === null).map(({ move }) => move);
  for (const [file, members] of Map.groupBy(going, ({ finding }) => finding.file)) {
    writeFileSync(file, withoutMoved(readFileSync(file, 'utf8'), members, relative(process.cwd(), registry)));
  }
  return {
    moved: going.map(whereFrom),
    kept: told.flatMap(({ move, reason }) => (reason === null ? [] : [{ ...whereFrom(move), reason }])),
  };
}

function whereFrom({ entry, finding: { file, line } }: Move): MovedIndex {
  return { name: entry.name, file, line };
}
