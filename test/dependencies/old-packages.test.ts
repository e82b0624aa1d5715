import { expect, test } from 'vitest';
import { OLD_PACKAGES, PRERELEASES } from '../../dependencies/accepted.ts';
import { directDependencies, lockedPackages } from '../../dependencies/lock-file.ts';
import { oldDependencies, recordedReleases, unrecorded } from '../../dependencies/old-packages.ts';
import { releasesAmong } from '../../dependencies/prereleases.ts';

test('the date of every direct dependency is recorded: npm run releases', () => {
  expect(unrecorded()).toEqual([]);
  expect(Object.keys(recordedReleases()).sort()).toEqual(Object.keys(directDependencies()).sort());
  for (const { date } of Object.values(recordedReleases())) expect(date).toMatch(/^20\d\d-[01]\d-[0-3]\d$/);
});

test('a direct dependency that was two years old when the newest one was released has a reason', () => {
  const dates = Object.values(recordedReleases()).map(({ date }) => date);
  const old = oldDependencies(dates.sort().at(-1) ?? '');

  expect(old.map(({ name }) => name)).toEqual(['jsonc-parser']);
  expect(old.filter(({ reason }) => reason === null)).toEqual([]);
});

test('a dependency is named from the day on which it is more than two years old', () => {
  const named = (today: string) => oldDependencies(today).map(({ name }) => name);

  expect(named('2026-06-24')).not.toContain('jsonc-parser');
  expect(named('2026-06-25')).toContain('jsonc-parser');
  expect(named('2036-01-01')).toHaveLength(Object.keys(directDependencies()).length);
});

test('the reasons are for the versions that are in use', () => {
  const locked = lockedPackages();
  const stale = Object.entries(OLD_PACKAGES).filter(
    ([name, { version }]) => !locked.some((one) => one.name === name && one.version === version),
  );
  expect(stale).toEqual([]);
});

test('only the binaries of PostgreSQL are versions before a release', () => {
  const before = Object.entries(directDependencies()).filter(([, version]) => /\d-/.test(version));

  expect(before.map(([name]) => name).sort()).toEqual(Object.keys(PRERELEASES).sort());
});

test('a released version is found among betas', () => {
  expect(releasesAmong(['18.4.0-beta.17', '18.5.0', '19.0.0-alpha.1'])).toEqual(['18.5.0']);
});
