import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, relative } from 'node:path';
import { appendEntries, newRegistryFile } from '../registry/append-entries.ts';
import type { IndexEntry } from '../registry/define-indexes.ts';
import { inOneLine } from '../registry/entry-of-statement.ts';
import type { LintResult, MovedIndex } from './format.ts';
import type { Move } from './migrations/migration-linter.ts';
import type { Registered } from './registered.ts';

/**
 * A migration without the statements that moved into the registry: a comment in the place of each tells where it went.
 * Everything else stays as it is.
 * @param registry the registry's file, as the reader knows it
 */
export function withoutMoved(text: string, moves: readonly Move[], registry: string): string {
  let fixed = text;
  for (const { statement, entry } of moves.toSorted((a, b) => b.statement.start - a.statement.start)) {
    const rest = fixed.slice(statement.next);
    // What follows on the line would become a part of the comment; Drizzle's marks begin as comments do.
    const apart = /^[ \t]*(?:--(?!>)|\r?\n|$)/.test(rest) ? '' : '\n';
    const comment = `-- pg-deploy-step: moved ${oneLine(entry.name)} into ${registry}${apart}`;
    fixed = fixed.slice(0, statement.start) + comment + rest;
  }
  return fixed;
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
export function moveIntoRegistry(
  moves: readonly Move[],
  registry: string,
  registered: Registered,
  whyNotMovable: (move: Move) => string | null,
): Pick<LintResult, 'moved' | 'kept'> {
  const going: Move[] = [];
  const entries: IndexEntry[] = [];
  const kept: LintResult['kept'][number][] = [];
  for (const move of moves) {
    const standing = registered.standingOf(move.entry);
    const reason =
      standing === 'other' ? 'the registry lists it with another definition' : whyNotMovable(move);
    if (reason !== null) {
      kept.push({ ...whereFrom(move), reason });
      continue;
    }
    going.push(move);
    if (standing === 'same') continue;
    entries.push(move.entry);
    registered.add(move.entry);
  }
  writeEntries(registry, entries);
  for (const [file, members] of Map.groupBy(going, ({ finding }) => finding.file)) {
    writeFileSync(file, withoutMoved(readFileSync(file, 'utf8'), members, relative(process.cwd(), registry)));
  }
  return { moved: going.map(whereFrom), kept };
}

function whereFrom({ entry, finding: { file, line } }: Move): MovedIndex {
  return { name: entry.name, file, line };
}

function writeEntries(registry: string, entries: readonly IndexEntry[]): void {
  if (entries.length === 0) return;
  const kind = extname(registry) === '.json' ? 'json' : 'ts';
  const written = kind === 'json' ? entries.map(inOneLine) : entries;
  const text = existsSync(registry)
    ? appendEntries(readFileSync(registry, 'utf8'), kind, written)
    : newRegistryFile(written, kind);
  writeFileSync(registry, text);
}
