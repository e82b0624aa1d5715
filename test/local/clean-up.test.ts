import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createTemporaryFolder } from '../../lib/files/temporary-folder.ts';
import { removeAbandoned } from '../../lib/local/clean-up.ts';
import { findPostgresBinaries } from '../../lib/local/postgres-binaries.ts';
import { createCommandFolder } from '../support/command.ts';
import { OTHER_ACCOUNT, testWithOtherAccount } from '../support/other-account.ts';
import { eventually } from '../support/waits.ts';

const PROJECT = path.resolve(import.meta.dirname, '../..');

let temporary: string;
let before: string | undefined;
const children: ChildProcess[] = [];

beforeEach(() => {
  before = process.env.TMPDIR;
  temporary = mkdtempSync(path.join(tmpdir(), 'pg-deploy-step-test-'));
  chmodSync(temporary, 0o1777);
  process.env.TMPDIR = temporary;
});

afterEach(async () => {
  for (const child of children.splice(0)) await kill(child);
  if (before === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = before;
  rmSync(temporary, { recursive: true, force: true });
});

function names(): string[] {
  return readdirSync(temporary).toSorted();
}

/** Starts a process that creates folders of these kinds and lives until it is killed. @returns their names too */
async function owner(...kinds: string[]) {
  const script = `
    import { createTemporaryFolder } from ${JSON.stringify(path.join(PROJECT, 'lib/files/temporary-folder.ts'))};
    const { basename } = await import('node:path');
    console.log(JSON.stringify(${JSON.stringify(kinds)}.map((kind) => basename(createTemporaryFolder(kind)))));
    setInterval(() => {}, 1000);`;
  const child = spawn(process.execPath, ['--input-type=module', '--eval', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  children.push(child);
  const [line] = (await once(child.stdout, 'data')) as [Buffer];
  return { child, folders: JSON.parse(line.toString()) as string[] };
}

async function kill(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'exit');
  child.kill('SIGKILL');
  await ended;
}

test('folders of a process that was killed are removed; those of a running process stay', async () => {
  const killed = await owner('run', 'stack', 'db');
  const running = await owner('run', 'stack');
  for (const name of killed.folders) writeFileSync(path.join(temporary, name, 'file'), 'content');
  await kill(killed.child);
  const own = path.basename(createTemporaryFolder('run'));

  await Promise.all([removeAbandoned(), removeAbandoned(), removeAbandoned()]);

  expect(names()).toEqual([...running.folders, own].toSorted());
});

test('a folder is removed when another process has the id of its process', async () => {
  const running = await owner('run');
  const [name = ''] = running.folders;
  // The same process id with another start time.
  const earlier = name.replace(/\.([0-9a-f]{12})\./, '.000000000000.').replace(/\w{6}$/, 'aaaaaa');
  mkdirSync(path.join(temporary, earlier));

  await removeAbandoned();

  expect(names()).toEqual([name]);
});

test('folders of other users, of other machines and of other programs stay', async () => {
  const { child, folders } = await owner('run');
  const [name = ''] = folders;
  await kill(child);
  const kept = [
    name.replace(/^pg-deploy-step-run-\d+/, 'pg-deploy-step-run-54321').replace(/\w{6}$/, 'aaaaaa'),
    name.replace(/[0-9a-f]{12}-\w{6}$/, '000000000000-aaaaaa'),
    name.replace('-run-', '-other-'),
    `${name}.txt`,
    'pg-deploy-step-postgres-18.4.0-0123456789ab',
  ];
  for (const folder of kept) mkdirSync(path.join(temporary, folder));

  await removeAbandoned();

  expect(names()).toEqual(kept.toSorted());
});

testWithOtherAccount('a folder of another user stays, whatever its name says', async () => {
  const { child, folders } = await owner('run', 'stack', 'db', 'socket', 'seed', 'binaries');
  await kill(child);
  for (const name of folders) {
    const folder = path.join(temporary, name);
    writeFileSync(path.join(folder, 'file'), 'content');
    chownSync(folder, OTHER_ACCOUNT, OTHER_ACCOUNT);
  }

  await removeAbandoned();

  expect(names()).toEqual(folders.toSorted());
});

testWithOtherAccount(
  'root removes the folder of a cluster with no more rights than the user of the server has',
  async () => {
    const { user } = await findPostgresBinaries(18);
    const { child, folders } = await owner('db', 'db', 'run');
    await kill(child);
    const [emptied = '', guarded = '', forged = ''] = folders.map((name) => path.join(temporary, name));
    mkdirSync(path.join(emptied, 'data'));
    // The user of the server could have moved a folder of root here, or put a link to one in the place of a folder.
    mkdirSync(path.join(guarded, 'of-root'), { mode: 0o700 });
    writeFileSync(path.join(guarded, 'of-root/precious'), 'content');
    for (const folder of [emptied, path.join(emptied, 'data'), guarded, forged]) {
      chownSync(folder, user.uid ?? 0, user.gid ?? 0);
    }

    await removeAbandoned();

    expect(names()).toEqual([guarded, forged].map((folder) => path.basename(folder)).toSorted());
    expect(readFileSync(path.join(guarded, 'of-root/precious'), 'utf8')).toBe('content');
  },
);

test('symbolic links are not followed, neither in place of a folder nor in one', async () => {
  const { child, folders } = await owner('run');
  const [name = ''] = folders;
  await kill(child);
  const outside = path.join(temporary, 'outside');
  mkdirSync(outside);
  writeFileSync(path.join(outside, 'precious'), 'content');
  symlinkSync(outside, path.join(temporary, name, 'link'));
  const link = name.replace(/\w{6}$/, 'aaaaaa');
  symlinkSync(outside, path.join(temporary, link));

  await removeAbandoned();

  expect(names()).toEqual(['outside', link].toSorted());
  expect(readFileSync(path.join(outside, 'precious'), 'utf8')).toBe('content');
});

test('the next run stops the server of a run that was killed together with its watchdog, and removes its folders', async () => {
  const place = createCommandFolder();
  try {
    const run = place.start('run', '--seed', 'none', '--migrations', 'none');
    await eventually(() => run.output()).toContain('Starting the demo services');
    const watchdogs = () => processesOf(place.directory.replace(/work$/, 'tmp'), 'watchdog');
    for (const pid of watchdogs()) process.kill(pid, 'SIGKILL');
    run.signal('SIGKILL');
    await run.ended;
    await eventually(() => watchdogs()).toEqual([]);
    expect(place.processes().filter((line) => line.includes('bin/postgres'))).not.toEqual([]);
    expect(place.temporaryFiles().map((name) => name.split('-')[3])).toEqual(
      expect.arrayContaining(['db', 'run', 'stack']),
    );

    const next = await place.run('run', '--seed', 'none', '--migrations', 'none', '--mode', 'plan');

    expect(next.exitCode, next.stdout + next.stderr).toBe(0);
    expect(place.temporaryFiles()).toEqual([]);
    await eventually(() => place.processes()).toEqual([]);
  } finally {
    place.remove();
  }
});

/** Ids of the processes whose command line contains all of these texts. */
function processesOf(...texts: string[]): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8');
        return texts.every((text) => line.includes(text));
      } catch {
        return false;
      }
    })
    .map(Number);
}
