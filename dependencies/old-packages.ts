import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { OLD_PACKAGES } from './accepted.ts';
import { directDependencies, ROOT } from './lock-file.ts';

/** Name and version of a package, and the day on which that version was on the registry at the latest. */
export interface Release {
  version: string;
  /** YYYY-MM-DD. A mirror of the registry can report a later day than the registry itself. */
  date: string;
}

/** The releases of the direct dependencies, which the lock file does not contain. */
export function recordedReleases(): Record<string, Release> {
  return JSON.parse(readFileSync(join(ROOT, 'dependencies/releases.json'), 'utf8'));
}

/** The direct dependencies whose version is not the recorded one: their date is unknown. */
export function unrecorded(): string[] {
  const releases = recordedReleases();
  return Object.entries(directDependencies())
    .filter(([name, version]) => releases[name]?.version !== version)
    .map(([name, version]) => `${name} ${version}`);
}

/**
 * The direct dependencies that are older than two years.
 * @param today YYYY-MM-DD
 */
export function oldDependencies(today: string): { name: string; date: string; reason: string | null }[] {
  const limit = `${Number(today.slice(0, 4)) - 2}${today.slice(4)}`;
  return Object.entries(recordedReleases())
    .filter(([, { date }]) => date < limit)
    .map(([name, { version, date }]) => {
      const known = OLD_PACKAGES[name];
      return { name, date, reason: known?.version === version ? known.reason : null };
    });
}
