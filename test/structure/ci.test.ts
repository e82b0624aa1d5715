import { execFileSync } from 'node:child_process';
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

/*
 * .ci/run synthesises every CDK app of the repository, and checks its templates with cfn-lint, if that is installed.
 */

const SCRIPT = readFileSync('.ci/run', 'utf8');
const APPS = globSync('**/cdk.json', { exclude: (name) => name.includes('node_modules') })
  .map(dirname)
  .toSorted();

test('every CDK app is synthesised', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> };
  const inCi = [...SCRIPT.matchAll(/npm run --silent (synth\S*)/g)].map(([, name = '']) => scripts[name]);

  expect(APPS).toEqual([
    ...['.', 'examples/ci', 'examples/custom-services', 'examples/pipeline'],
    ...['examples/playground', 'integ'],
  ]);
  expect(inCi.map((command) => /^cd (\S+) &&/.exec(command ?? '')?.[1] ?? '.').toSorted()).toEqual(APPS);
});

describe('cfn-lint', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-ci-'));
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  /** Runs the lines of the script that are about cfn-lint, with `path` as the only folder of programs. */
  function run(path: string): string[] {
    const [, check = ''] = /^(if command -v cfn-lint[\s\S]*?\nfi)$/m.exec(SCRIPT) ?? [];
    const [, end = ''] = /^(if \[ -s "\$results\/cfn-lint\.txt" \].*)$/m.exec(SCRIPT) ?? [];
    const script = `results='${folder}'; step() { shift; "$@"; }; ${check}\n${end}\n`;
    const output = execFileSync('/bin/bash', ['--norc', '-c', script], {
      env: { PATH: path },
      encoding: 'utf8',
    });
    return output.trim().split('\n');
  }

  function program(name: string, script: string): void {
    writeFileSync(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o700 });
  }

  test('gets the templates of every app', () => {
    program('cfn-lint', 'for each; do echo "$each"; done');

    expect(run(folder)).toEqual(
      expect.arrayContaining(APPS.map((app) => expect.stringContaining(`${app}/cdk.out/`))),
    );
  });

  test('is reported as missing, also at the end', () => {
    for (const name of ['tee', 'cat']) program(name, `PATH=/usr/bin:/bin exec ${name} "$@"`);

    const skipped = run(folder).filter((line) => line.startsWith('SKIPPED: cfn-lint is not installed'));
    expect(skipped.length).toBe(2);
  });
});
