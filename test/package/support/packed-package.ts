import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const ROOT = resolve(import.meta.dirname, '../../..');

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly peerDependencies: Readonly<Record<string, string>>;
  readonly dependencies: Readonly<Record<string, string>>;
  readonly devDependencies: Readonly<Record<string, string>>;
}

export const MANIFEST = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as Manifest;

/** NAME@VERSION of what the package is developed with. */
export function current(...names: string[]): string[] {
  return names.map((name) => `${name}@${MANIFEST.devDependencies[name]}`);
}

/** NAME@VERSION of the oldest version that the package accepts. */
export function oldest(...names: string[]): string[] {
  return names.map((name) => `${name}@${MANIFEST.peerDependencies[name]?.replace(/^\^/, '')}`);
}
