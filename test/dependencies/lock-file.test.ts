import { describe, expect, test } from 'vitest';
import { INSTALL_SCRIPTS, NODE_BINARIES } from '../../dependencies/accepted.ts';
import { directDependencies, lockedPackages, manifest } from '../../dependencies/lock-file.ts';

const packages = lockedPackages();

test('the lock file has the packages that are installed', () => {
  expect(packages.length).toBeGreaterThan(200);
  expect(packages.map(({ name }) => name)).toContain('pg');
});

test('every direct dependency is pinned to one exact version', () => {
  const versions = Object.entries(directDependencies());

  expect(versions.length).toBeGreaterThan(20);
  expect(
    versions.filter(([, version]) => !/^(npm:@?[\w./-]+@)?\d+\.\d+\.\d+(-[\w.]+)?$/.test(version)),
  ).toEqual([]);
});

test('every package comes from the registry of npm, and the lock file has the hash of its archive', () => {
  const foreign = packages.filter(
    ({ resolved }) => resolved !== undefined && !resolved.startsWith('https://registry.npmjs.org/'),
  );
  // A package in the archive of another one has no hash of its own: that of the archive covers it.
  const unprotected = packages.filter(
    ({ integrity, inBundle }) => !inBundle && !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''),
  );

  expect(foreign.map(({ path, resolved }) => `${path}: ${resolved}`)).toEqual([]);
  expect(unprotected.map(({ path }) => path)).toEqual([]);
});

test('a package in the archive of another package lies below it', () => {
  const archived = packages.filter(({ inBundle }) => inBundle);

  for (const { path } of archived) {
    const owner = path.slice(0, path.lastIndexOf('/node_modules/'));
    expect(packages.map((one) => one.path)).toContain(owner);
  }
});

describe('install scripts', () => {
  const withScript = packages.filter(({ hasInstallScript }) => hasInstallScript);

  test('only the known packages have one', () => {
    expect([...new Set(withScript.map(({ name }) => name))].sort()).toEqual(
      Object.keys(INSTALL_SCRIPTS).sort(),
    );
  });

  test('the Node binary that a script installs has a hash for the version in use, at least for Linux on x64', () => {
    const { node } = manifest().devDependencies;

    expect(NODE_BINARIES).toHaveProperty([`linux-x64 ${node}`]);
    expect(Object.keys(NODE_BINARIES).filter((platform) => !platform.endsWith(` ${node}`))).toEqual([]);
  });

  test('npm allows exactly these, by the names under which they are installed', () => {
    const { allowScripts } = manifest();
    const installed = withScript.map(({ path }) => path.replace(/^.*node_modules\//, ''));

    expect(Object.keys(allowScripts).sort()).toEqual([...new Set(installed)].sort());
    expect(new Set(Object.values(allowScripts))).toEqual(new Set([true]));
  });
});
