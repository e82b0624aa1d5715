import { globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';

/** The folders of docs/architecture.md from top to bottom. A file imports its own folder and those below it. */
const ORDER = [
  'bin',
  'lib/cli',
  'lib/init',
  'lib/index.ts',
  'lib/local',
  'lib/pipeline',
  'lib/constructs',
  'lib/recovery',
  'lib/alerts',
  'lib/workflow',
  'lib/compile',
  'lib/functions',
  'lib/logs',
  'lib/config',
  'lib/import',
  'lib/doctor',
  'lib/explain',
  'lib/lint',
  'lib/sources',
  'lib/registry',
  'lib/sql',
  'lib/connection',
  'lib/files',
  'lambdas',
];

/** The same inside of `lambdas`: a function imports no other function. */
const LAMBDAS = ['lambdas/migration-tools', 'lambdas/postgres', 'lambdas/shared'];

const FILES = globSync(['bin/**/*.ts', 'lib/**/*.ts', 'lambdas/**/*.ts']).toSorted();

describe('imports run one way', () => {
  it('knows the place of every file', () => {
    expect(FILES.filter((file) => rank(file, ORDER) === -1)).toEqual([]);
  });

  it('no file imports a folder above its own', () => {
    expect(importsOf(FILES).filter(({ from, to }) => rank(to, ORDER) < rank(from, ORDER))).toEqual([]);
  });

  it('a Lambda function imports lambdas/migration-tools, lambdas/postgres and lambdas/shared only, and these no function', () => {
    const outward = importsOf(FILES.filter((file) => file.startsWith('lambdas/'))).filter(
      ({ from, to }) => dirname(from) !== dirname(to) && rank(to, LAMBDAS) <= rank(from, LAMBDAS),
    );
    expect(outward).toEqual([]);
  });
});

interface Import {
  from: string;
  to: string;
}

function importsOf(files: readonly string[]): Import[] {
  return files.flatMap((from) =>
    [...readFileSync(from, 'utf8').matchAll(/(?:\bfrom|\bimport\()\s*'(\.[^']+)'/g)].map(([, path = '']) => ({
      from,
      to: join(dirname(from), path),
    })),
  );
}

function rank(file: string, order: readonly string[]): number {
  return order.findIndex((place) => file === place || file.startsWith(`${place}/`));
}
