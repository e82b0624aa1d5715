import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { RegistryError } from '../../lib/registry/registry-error.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { eventually } from '../support/waits.ts';

const SQL = 'create index concurrently if not exists idx_a on t (a)';
const LIST = `export default [{ name: 'idx_a', sql: '${SQL}', description: 'For a test' }];`;

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'registry-'));
});
afterAll(() => rm(folder, { recursive: true }));

let count = 0;
async function written(text: string, extension = '.ts'): Promise<string> {
  count += 1;
  const file = join(folder, `registry-${count}${extension}`);
  await writeFile(file, text);
  return file;
}

/** The message without the file's name. */
async function refusalOf(text: string, extension?: string): Promise<string> {
  const file = await written(text, extension);
  const error: unknown = await loadRegistry(file).catch((thrown: unknown) => thrown);
  if (!(error instanceof RegistryError)) throw new Error(`Not refused: ${String(error)}`);
  expect(error.message).toContain(file);
  return error.message.slice(error.message.indexOf(file) + file.length);
}

/* The tests run side by side, because most of them wait for the limit of 8 seconds. */
describe.concurrent('a module that does not end', () => {
  test.concurrent.each<[string, string, string]>([
    [
      'keeps an interval',
      `setInterval(() => {}, 1000);\n${LIST}`,
      'it keeps a timer open, 8 s after it was imported: a registry must close everything that it opens',
    ],
    [
      'keeps a server',
      `import { createServer } from 'node:net';\ncreateServer().listen(0, '127.0.0.1');\n${LIST}`,
      'it keeps a TCP server open',
    ],
    [
      'keeps a connection',
      `import { connect, createServer } from 'node:net';
       import { once } from 'node:events';
       const server = createServer().listen(0, '127.0.0.1');
       await once(server, 'listening');
       await once(connect(server.address().port, '127.0.0.1'), 'connect');
       server.unref();\n${LIST}`,
      'it keeps a TCP connection open',
    ],
    [
      'keeps a file watcher',
      `import { watch } from 'node:fs';\nwatch('.');\n${LIST}`,
      'it keeps a file watcher open',
    ],
    [
      'keeps a worker thread',
      `import { Worker } from 'node:worker_threads';\nnew Worker('setInterval(() => {}, 1000)', { eval: true });\n${LIST}`,
      'it keeps a worker thread or something else open',
    ],
    [
      'keeps a child process',
      `import { spawn } from 'node:child_process';\nspawn('sleep', ['${777_777}'], { stdio: 'ignore' });\n${LIST}`,
      'it keeps a child process open',
    ],
    [
      'waits for a promise that never settles',
      `await new Promise(() => {});\n${LIST}`,
      'it waits with await for a promise that never settles',
    ],
    [
      'waits for a late timer',
      `await new Promise((resolve) => setTimeout(resolve, 600_000));\n${LIST}`,
      'its await has not finished within 8 s; it waits for a timer',
    ],
    [
      'loops without an end',
      `while (true) {}\n${LIST}`,
      'its code does not return within 8 s: look for an endless loop',
    ],
    [
      'loops after its export',
      `setTimeout(() => { while (true) {} }, 10);\n${LIST}`,
      'after the export, code of the module does not return within 8 s',
    ],
  ])('%s', async (_what, text, message) => {
    expect(await refusalOf(text)).toContain(message);
  });
});

test('a child process of a refused module is ended', async () => {
  const pidFile = join(folder, 'pid');
  await refusalOf(
    `import { spawn } from 'node:child_process';
     import { writeFileSync } from 'node:fs';
     writeFileSync(${JSON.stringify(pidFile)}, String(spawn('sleep', ['600'], { stdio: 'ignore' }).pid));
     process.exit(0);`,
  );
  const pid = Number(await readFile(pidFile, 'utf8'));
  await eventually(() =>
    readFile(`/proc/${pid}/status`, 'utf8').then(
      (text) => /State:\s+(\S)/.exec(text)?.[1],
      // It has ended, and its parent has noticed it.
      () => 'Z',
    ),
  ).toBe('Z');
});

test.each<[string, string, string]>([
  [
    'process.exit()',
    `process.exit();\n${LIST}`,
    ':1:9: it cannot be imported: it calls process.exit(), which would end the command: remove the call',
  ],
  [
    'process.exit(0)',
    `\n  process.exit(0);\n${LIST}`,
    ':2:11: it cannot be imported: it calls process.exit(0)',
  ],
  ['process.exit(3) later', `setTimeout(() => process.exit(3), 10);\n${LIST}`, 'it calls process.exit(3)'],
  ['process.abort()', `process.abort();\n${LIST}`, 'it calls process.abort()'],
  [
    'a signal to itself',
    `process.kill(process.pid, 'SIGKILL');\n${LIST}`,
    'its process was ended by the signal SIGKILL',
  ],
  ['throw null', 'throw null;', ': it cannot be imported: it throws null'],
  ['throw undefined', 'throw undefined;', 'it throws undefined'],
  ['throw of a text', "throw 'no luck';", 'it throws "no luck"'],
  ['throw of an object without a text', 'throw Object.create(null);', 'it throws a value of the type object'],
  [
    'an error later',
    `setTimeout(() => { throw new Error('too late'); });\n${LIST}`,
    ':1:26: it cannot be imported: too late',
  ],
  ['a rejection', `void Promise.reject(new Error('no luck'));\n${LIST}`, 'no luck'],
  ['a function as the list', 'export default () => [];', 'it must contain a list of entries'],
  ['a promise as the list', 'export default Promise.resolve([]);', 'it must contain a list of entries'],
  [
    'a function as a field',
    "export default [{ name: 'idx_a', sql: () => '', description: 'x' }];",
    ':1:34: entry 1 "idx_a": sql: it must be one CREATE INDEX statement, as a text',
  ],
  ['a list that throws', "export default [{ get sql() { throw new Error('no luck'); } }];", 'no luck'],
])('a module is refused with what it does: %s', async (_what, text, message) => {
  expect(await refusalOf(text)).toContain(message);
});

test.each<[string, string]>([
  ['keeps a timer that does not keep Node.js running', `setInterval(() => {}, 1000).unref();\n${LIST}`],
  ['has a timer that ends', `setTimeout(() => {}, 100);\n${LIST}`],
  ['takes seconds to import', `await new Promise((resolve) => setTimeout(resolve, 2_500));\n${LIST}`],
  [
    'changes the environment and the directory',
    `process.env.HOME = '/nowhere';\nprocess.chdir('/');\n${LIST}`,
  ],
  ['replaces global functions', `globalThis.JSON = undefined;\nArray.prototype.map = undefined;\n${LIST}`],
  [
    'computes its list with a class',
    `class Entry { name = 'idx_a'; sql = '${SQL}'; description = 'x'; }\nexport default Object.freeze([new Entry()]);`,
  ],
  [
    'listens to signals and to the end of the process',
    `process.on('exit', () => {});\nprocess.on('SIGINT', () => {});\n${LIST}`,
  ],
])('a module is accepted that %s', async (_what, text) => {
  const before = { home: process.env.HOME, directory: process.cwd() };
  expect(await loadRegistry(await written(text))).toMatchObject([{ name: 'idx_a' }]);
  expect({ home: process.env.HOME, directory: process.cwd() }).toEqual(before);
});

test('a module is accepted whose process starts slowly, as on a busy machine', async () => {
  const slow = join(folder, 'slow-start.cjs');
  await writeFile(slow, 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 16_000);');
  vi.stubEnv('NODE_OPTIONS', `--require=${slow}`);
  try {
    expect(await loadRegistry(await written(LIST))).toMatchObject([{ name: 'idx_a' }]);
  } finally {
    vi.unstubAllEnvs();
  }
});

test('a CommonJS module that calls process.exit is refused too', async () => {
  expect(await refusalOf('process.exit(0);\nmodule.exports = [];', '.cjs')).toContain(
    'it calls process.exit(0)',
  );
});

describe('the commands', () => {
  let place: CommandFolder;
  beforeAll(async () => {
    place = createCommandFolder();
    await writeFile(place.file('exits.ts'), `process.exit(0);\n${LIST}`);
    await writeFile(place.file('prints.ts'), `console.log('noise');\n${LIST}`);
    await writeFile(place.file('a.sql'), 'create index idx_b on t (b);');
  });
  afterAll(() => {
    expect(place.processes()).toEqual([]);
    place.remove();
  });

  test.each([
    [
      'run',
      '--database-url',
      'postgres://u:p@127.0.0.1:1/d',
      '--indexes',
      'exits.ts',
      '--migrations',
      'none',
    ],
    [
      'run',
      '--database-url',
      'postgres://u:p@127.0.0.1:1/d',
      '--indexes',
      'exits.ts',
      '--migrations',
      'none',
      '--mode',
      'plan',
    ],
    ['lint', '--indexes', 'exits.ts'],
    ['import', 'a.sql', '--out', 'exits.ts'],
  ])('%s with a registry that calls process.exit(0) exits with 1 and names the file', async (...args) => {
    const { exitCode, stdout, stderr } = await place.run(...args);

    expect(stdout + stderr).toMatch(
      /exits\.ts:1:9: (?:error: )?.*it cannot be imported: it calls process\.exit\(0\)/,
    );
    expect(exitCode).toBe(1);
  });

  test('what a registry prints goes to standard error', async () => {
    const { exitCode, stdout, stderr } = await place.run(
      'lint',
      '--indexes',
      'prints.ts',
      '--format',
      'json',
    );

    expect(JSON.parse(stdout)).toMatchObject({ findings: [] });
    expect(stderr).toContain('noise');
    expect(exitCode).toBe(0);
  });

  test('cdk synth of an app whose registry calls process.exit(0) fails', async () => {
    const app = `
      import { loadRegistry } from ${JSON.stringify(new URL('../../lib/index.ts', import.meta.url).href)};
      await loadRegistry(${JSON.stringify(place.file('exits.ts'))});
      console.log('synthesised');`;
    const { code, stdout, stderr } = await new Promise<{ code: unknown; stdout: string; stderr: string }>(
      (resolve) => {
        execFile(process.execPath, ['--input-type=module', '--eval', app], (error, stdout, stderr) =>
          resolve({ code: error?.code ?? 0, stdout, stderr }),
        );
      },
    );

    expect(stdout).toBe('');
    expect(stderr).toContain('it calls process.exit(0)');
    expect(code).toBe(1);
  });
});
