import { basename } from 'node:path';
import { filesBelow, readSource } from './migration-files.ts';
import type { Sources } from './sql-source.ts';

/** V1.2__words.sql, R__words.sql, B3__words.sql, U1__words.sql. */
export const FLYWAY_FILE = /^(?:([VBU])(\d+(?:[._]\d+)*)|(R))__.*\.sql$/;

/**
 * Reads Flyway's files in the order in which it runs them on an empty database: the latest baseline, the later versions by
 * number, then the repeatable migrations by name. Undo migrations are skipped.
 */
export function readFlyway(folder: string): Sources {
  const files = filesBelow(folder).flatMap((file) => {
    const match = FLYWAY_FILE.exec(basename(file));
    if (match === null) return [];
    return [{ file, kind: match[1] ?? 'R', version: (match[2] ?? '').split(/[._]/).map(Number) }];
  });
  const ofKind = (kind: string) => files.filter((one) => one.kind === kind);
  const baseline = ofKind('B')
    .toSorted((a, b) => compareVersions(a.version, b.version))
    .at(-1);
  const versions = ofKind('V')
    .filter(({ version }) => baseline === undefined || compareVersions(version, baseline.version) > 0)
    .toSorted((a, b) => compareVersions(a.version, b.version));
  const repeatable = ofKind('R').toSorted((a, b) => (basename(a.file) < basename(b.file) ? -1 : 1));
  const inOrder = [...(baseline === undefined ? [] : [baseline]), ...versions, ...repeatable];
  return { tool: 'flyway', files: inOrder.map(({ file }) => readSource(file)), skipped: [] };
}

function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
