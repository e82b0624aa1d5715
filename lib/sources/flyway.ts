import { basename, dirname, join, relative, sep } from 'node:path';
import { grouped } from './group-files.ts';
import { readSources } from './migration-files.ts';
import type { SourceFiles } from './sql-source.ts';

/** V1.2__words.sql, R__words.sql, B3__words.sql, U1__words.sql. */
const FLYWAY_FILE = /^(?:([VBU])(\d+(?:[._]\d+)*)|(R))__.*\.sql$/;

/**
 * The files of each of Flyway's histories, by its folder. A history is below a folder `migration` or `migrations`, as Flyway
 * reads its folders with all that they contain. Without such a folder, files whose versions occur once are one history.
 */
export function flywayFolders(files: readonly string[], root: string): Map<string, string[]> {
  const own = files.filter((file) => FLYWAY_FILE.test(basename(file)));
  const versions = own.map((file) => basename(file).slice(0, basename(file).indexOf('__')));
  const isOne = new Set(versions).size === versions.length || own.some((file) => dirname(file) === root);
  const common = commonFolder(own.map((file) => relative(root, dirname(file))));
  return grouped(
    own.map((file) => {
      const parts = relative(root, dirname(file)).split(sep);
      const at = parts.findIndex((part) => /^migrations?$/i.test(part));
      if (at !== -1) return [join(root, ...parts.slice(0, at + 1)), file];
      return [join(root, isOne ? common : (parts[0] ?? '')), file];
    }),
  );
}

/** The folder that contains all folders. */
function commonFolder(folders: readonly string[]): string {
  const [first = [], ...others] = folders.map((folder) => folder.split(sep));
  const length = first.findIndex((part, at) => others.some((other) => other[at] !== part));
  return first.slice(0, length === -1 ? undefined : length).join(sep);
}

/**
 * Reads Flyway's files in the order in which it runs them on an empty database: the latest baseline, the later versions by
 * number, then the repeatable migrations by name. Undo migrations are skipped.
 */
export function readFlyway(paths: readonly string[]): SourceFiles {
  const files = paths.flatMap((file) => {
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
  return readSources(inOrder.map(({ file }) => file));
}

function compareVersions(a: readonly number[], b: readonly number[]): number {
  for (let at = 0; at < Math.max(a.length, b.length); at += 1) {
    const difference = (a[at] ?? 0) - (b[at] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
