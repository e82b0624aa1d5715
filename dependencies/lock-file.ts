import { readFileSync } from 'node:fs';
import { join } from 'node:path';

export const ROOT = join(import.meta.dirname, '..');

/** A package in package-lock.json. */
export interface LockedPackage {
  /** Path in the lock file, such as `node_modules/pg`. */
  path: string;
  /** Name of the package itself, also if it is installed under another name. */
  name: string;
  version: string;
  /** SPDX expression. */
  licence: string;
  /** Whether only the development of this project needs it. */
  dev: boolean;
  hasInstallScript: boolean;
  /** Where npm loads it from, if that is not its default registry. */
  resolved: string | undefined;
  /** Hash of its archive. Undefined for a package that is part of the archive of another one. */
  integrity: string | undefined;
  /** Whether it is part of the archive of another package. */
  inBundle: boolean;
}

interface LockEntry {
  /** Whether it is a folder of this repository. */
  link?: boolean;
  name?: string;
  version: string;
  license?: string;
  dev?: boolean;
  hasInstallScript?: boolean;
  resolved?: string;
  integrity?: string;
  inBundle?: boolean;
}

/** The packages of package-lock.json, in its order. */
export function lockedPackages(): LockedPackage[] {
  const { packages } = JSON.parse(readFileSync(join(ROOT, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry>;
  };
  const forTests = Object.keys(testDependencies()).map((name) => `node_modules/${name}`);
  return Object.entries(packages)
    .filter(([path, { link = false }]) => path.includes('node_modules/') && !link)
    .map(([path, entry]) => ({
      path,
      name: entry.name ?? path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length),
      version: entry.version,
      licence: entry.license ?? '',
      dev: entry.dev ?? forTests.includes(path),
      hasInstallScript: entry.hasInstallScript ?? false,
      resolved: entry.resolved,
      integrity: entry.integrity,
      inBundle: entry.inBundle ?? false,
    }));
}

export interface Manifest {
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
  /** The packages that may run a script when they are installed, by name. */
  allowScripts: Record<string, boolean>;
}

export function manifest(folder = '.'): Manifest {
  return JSON.parse(readFileSync(join(ROOT, folder, 'package.json'), 'utf8'));
}

/** PostgreSQL 14. The published package must not have it as an optional dependency. */
function testDependencies(): Record<string, string> {
  return manifest('test/postgres-14').optionalDependencies;
}

/** The direct dependencies with their exact versions, as in package.json of the project and of test/postgres-14. */
export function directDependencies(): Record<string, string> {
  const { dependencies, devDependencies } = manifest();
  return { ...dependencies, ...devDependencies, ...testDependencies() };
}
