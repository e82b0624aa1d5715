import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';

const INDEX = 'create index concurrently if not exists idx_a on t (a)';
const ENTRY = `{ name: 'idx_a', sql: '${INDEX}', description: 'For a test' }`;

let place: CommandFolder;
beforeAll(() => {
  place = createCommandFolder();
});
afterAll(() => place.remove());

/** Code that leaves a file behind if it runs, as a module or as a script. */
function tracing(name: string): string {
  return `globalThis.process.getBuiltinModule('node:fs').writeFileSync(${JSON.stringify(place.file(`traces/${name}`))}, '');\n`;
}

function write(name: string, text: string): void {
  mkdirSync(dirname(place.file(name)), { recursive: true });
  writeFileSync(place.file(name), text);
}

function traces(): string[] {
  return readdirSync(place.file('traces')).toSorted();
}

beforeEach(() => {
  mkdirSync(place.file('traces'), { recursive: true });
});

describe('a pull request of a stranger', () => {
  beforeAll(() => {
    const plugin = `${tracing('plug-in')}module.exports = () => ({});`;
    write(
      'package.json',
      JSON.stringify({ type: 'module', imports: { '#side': './side.ts' }, prettier: './plugin.cjs' }),
    );
    write(
      'tsconfig.json',
      JSON.stringify({ compilerOptions: { plugins: [{ name: 'evil' }] }, extends: './tsconfig.evil.json' }),
    );
    write('tsconfig.evil.json', '{}');
    write('.babelrc', JSON.stringify({ plugins: ['./plugin.cjs'] }));
    write('babel.config.cjs', `${tracing('babel')}module.exports = { plugins: ['./plugin.cjs'] };`);
    write('jiti.config.ts', tracing('jiti'));
    write('plugin.cjs', plugin);
    write('node_modules/evil/package.json', JSON.stringify({ name: 'evil', main: 'index.cjs' }));
    write('node_modules/evil/index.cjs', plugin);
    write(
      'node_modules/pg-deploy-step/package.json',
      JSON.stringify({
        name: 'pg-deploy-step',
        exports: { './define-indexes': './define.js' },
        type: 'module',
      }),
    );
    write(
      'node_modules/pg-deploy-step/define.js',
      `${tracing('define')}export const defineIndexes = (list) => list;`,
    );
    write('side.ts', `${tracing('side')}export default 1;`);
    write(
      'cdk.json',
      JSON.stringify({ app: `node -e "${tracing('app').trim().replaceAll('"', "'")}"`, context: {} }),
    );
    const imports =
      "import './side.ts';\nimport 'evil';\nimport { defineIndexes } from 'pg-deploy-step/define-indexes';\n";
    write('literal.ts', `${imports}export default defineIndexes([${ENTRY}]);`);
    write('computed.ts', `${imports}${tracing('computed')}export default defineIndexes([${ENTRY}]);`);
    write(
      'called.ts',
      `${imports}const list = (() => { ${tracing('called')} return []; })();\nexport default list;`,
    );
    write('migrations/1700000000001_table.sql', 'create table t (a int);\ncreate index on t (a);');
    write(
      'migrations/1700000000002_code.js',
      `${tracing('js')}export const up = (pgm) => pgm.createIndex('t', 'a');`,
    );
    write(
      'migrations/1700000000003_code.ts',
      `${tracing('ts')}export const up = (pgm: any) => pgm.createIndex('t', 'a');`,
    );
  });

  test('runs none of its code with --no-code, and lint still checks its SQL and its registry', async () => {
    const args = ['lint', '--indexes', 'literal.ts', '--migrations', 'migrations', '--format', 'json'];
    const { exitCode, stdout } = await place.run(...args, '--no-code');

    expect(traces()).toEqual([]);
    const result = JSON.parse(stdout);
    expect(
      result.findings.map(({ file, rule }: { file: string; rule: string }) => `${file} ${rule}`),
    ).toEqual([
      'migrations/1700000000001_table.sql create-index-on-new-table',
      'migrations/1700000000002_code.js unreadable',
      'migrations/1700000000003_code.ts unreadable',
    ]);
    expect(result.notRun).toEqual(['migrations/1700000000002_code.js', 'migrations/1700000000003_code.ts']);
    expect(exitCode).toBe(1);

    await place.run(...args);
    expect(traces()).toEqual(expect.arrayContaining(['js', 'plug-in', 'side', 'ts']));
  });
});

describe('--no-code', () => {
  beforeEach(() => {
    for (const name of traces()) rmSync(place.file(`traces/${name}`));
  });

  test.each([
    ['computed.ts', '4:1', 'it has code that runs when the module is loaded, and could change the list'],
    ['called.ts', '4:14', 'is computed by code'],
  ])('lint reports where %s needs its code to run', async (file, at, reason) => {
    const { exitCode, stdout } = await place.run('lint', '--indexes', file, '--no-code');

    expect(traces()).toEqual([]);
    expect(stdout).toContain(
      `${file}:${at}: error registry-file: it cannot be read without running its code (--no-code)`,
    );
    expect(stdout).toContain(reason);
    expect(exitCode).toBe(1);
  });

  test('lint succeeds with code that was not checked, names it, and fails with --strict', async () => {
    write('more/1700000000001_code.js', `${tracing('more')}export const up = () => {};`);
    const args = ['lint', '--indexes', 'literal.ts', '--migrations', 'more', '--no-code'];
    const loose = await place.run(...args);
    const strict = await place.run(...args, '--strict');

    expect(loose.stdout).toContain(
      'Not checked, because --no-code runs no code: 1 migration: more/1700000000001_code.js.',
    );
    expect([loose.exitCode, strict.exitCode]).toEqual([0, 1]);
    expect(traces()).toEqual([]);
  });

  test('lint reads a schema without running the code in its folder', async () => {
    const { stdout } = await place.run(
      'lint',
      '--indexes',
      'literal.ts',
      '--schema',
      'migrations',
      '--no-code',
    );

    expect(stdout).toContain(
      '2 migrations: migrations/1700000000002_code.js, migrations/1700000000003_code.ts.',
    );
    expect(traces()).toEqual([]);
  });

  test('import lists migrations that are code, and adds to a registry without running it', async () => {
    const registry = place.file('literal.ts');
    const { exitCode, stderr } = await place.run('import', 'migrations', '--out', registry, '--no-code');

    expect(traces()).toEqual([]);
    expect(stderr).toContain('1 imported');
    expect(stderr).toContain(
      'migrations/1700000000002_code.js: migration 1700000000002_code.js: it is code, and --no-code runs no code',
    );
    expect(exitCode).toBe(0);
  });

  test('import fails if all migrations are code', async () => {
    write('code/1700000000001_code.js', `${tracing('code')}export const up = () => {};`);
    const { exitCode, stderr } = await place.run('import', 'code', '--no-code');

    expect(stderr).toContain('Nothing can be imported: all migrations are code (1 file)');
    expect(exitCode).toBe(1);
    expect(traces()).toEqual([]);
  });

  test.each(['lint', 'import'])('the help of %s says what runs code', async (command) => {
    const { stdout } = await place.run(command, '--help');
    expect(stdout).toMatch(/runs code:/);
    expect(stdout).toContain('--no-code');
  });
});

test('a registry does not get the secrets in the variables of the command', async () => {
  const folder = createCommandFolder({
    AWS_SECRET_ACCESS_KEY: 's1',
    AWS_SESSION_TOKEN: 's2',
    DATABASE_URL: 's3',
    PGPASSWORD: 's4',
    GITHUB_TOKEN: 's5',
    REPLICA: 'postgres://u:s6@h/d',
    STAGE: 'prod',
    AWS_REGION: 'eu-central-1',
  });
  try {
    const names = 'Object.keys(process.env).toSorted().join()';
    writeFileSync(folder.file('a.ts'), `export default [{ name: ${names}, sql: '', description: 'x' }];`);
    const { stdout } = await folder.run('lint', '--indexes', 'a.ts');

    const [, printed = ''] = /entry 1 "([^"]*)/.exec(stdout) ?? [];
    expect(printed.split(',')).toEqual(expect.arrayContaining(['AWS_REGION', 'PATH', 'STAGE']));
    expect(printed).not.toMatch(/SECRET|TOKEN|DATABASE_URL|PGPASSWORD|REPLICA/);
  } finally {
    folder.remove();
  }
});
