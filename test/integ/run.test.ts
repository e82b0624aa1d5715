import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../support/waits.ts';

/*
 * `npm run integ` with a command `cdk` that only records how it was called.
 */

const COMMAND = join(import.meta.dirname, '../../integ/run.ts');

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-integ-run-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

/** @param script what `cdk` does, after it has recorded its arguments */
function start(script: string, ...args: string[]): ChildProcess {
  writeFileSync(join(folder, 'cdk'), `#!/bin/sh\necho "$@" >> '${folder}/calls'\n${script}\n`, {
    mode: 0o700,
  });
  return spawn(process.execPath, [COMMAND, ...args], {
    env: { ...process.env, PATH: `${folder}:${process.env.PATH}` },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

async function ended(child: ChildProcess): Promise<{ exitCode: number | null; output: string }> {
  if (child.stdout === null || child.stderr === null) throw new Error('The command has no output.');
  const closed = new Promise<number | null>((done) => child.on('close', done));
  const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
  return { exitCode: await closed, output: out + err };
}

/** The commands of `cdk` that were run, in order. */
const calls = () =>
  readFileSync(join(folder, 'calls'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split(' ').slice(0, 2).join(' '));

test('deploys all stacks and destroys them', async () => {
  const { exitCode, output } = await ended(start('exit 0'));

  expect(calls()).toEqual(['deploy --all', 'destroy --all']);
  expect(output).toContain('All assertions are true.');
  expect(exitCode).toBe(0);
});

test('destroys the stacks after a failed assertion, and fails', async () => {
  const { exitCode, output } = await ended(start('[ "$1" = destroy ]'));

  expect(calls()).toEqual(['deploy --all', 'destroy --all']);
  expect(output).toContain('The test failed');
  expect(exitCode).toBe(1);
});

test('fails if the stacks cannot be destroyed, and says that they cost money', async () => {
  const { exitCode, output } = await ended(start('[ "$1" = deploy ]'));

  expect(output).toContain('The stacks were not destroyed completely, and cost money.');
  expect(exitCode).toBe(1);
});

test('keeps the stacks with --keep', async () => {
  const { exitCode, output } = await ended(start('exit 0', '--keep'));

  expect(calls()).toEqual(['deploy --all']);
  expect(output).toContain('npx cdk destroy --all --force');
  expect(exitCode).toBe(0);
});

test.each(['SIGINT', 'SIGTERM'] as const)('destroys the stacks after %s', async (signal) => {
  // It ends when the test says so, as a deployment does that its own signal has ended.
  const child = start(`[ "$1" = destroy ] || until [ -e '${folder}/end' ]; do sleep 0.1; done`);
  const result = ended(child);
  await eventually(() => existsSync(join(folder, 'calls'))).toBe(true);
  child.kill(signal);
  let seen = '';
  child.stderr?.on('data', (chunk) => {
    seen += chunk;
  });
  await eventually(() => seen).toContain('Interrupted.');
  writeFileSync(join(folder, 'end'), '');

  const { exitCode } = await result;
  expect(calls()).toEqual(['deploy --all', 'destroy --all']);
  expect(exitCode).toBe(1);
});
