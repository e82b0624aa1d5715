import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';

const REGISTRY = [
  {
    name: 'idx_orders_status',
    sql: 'create index concurrently if not exists idx_orders_status on orders (status)',
    description: 'orders by status',
  },
];

let place: CommandFolder;

beforeEach(() => {
  place = createCommandFolder();
  mkdirSync(join(place.directory, 'migrations'));
  write('indexes.json', JSON.stringify(REGISTRY));
  write('migrations/0001_orders.sql', 'create table orders (id int primary key, status text);\n');
});

afterEach(() => {
  place.remove();
});

function write(name: string, text: string): void {
  writeFileSync(place.file(name), text);
}

const BOTH = ['--indexes', 'indexes.json', '--migrations', 'migrations'];

describe('lint', () => {
  test('without findings exits with 0 and prints the number of files', async () => {
    const { exitCode, stdout, stderr } = await place.run('lint', ...BOTH);
    expect([exitCode, stdout, stderr]).toEqual([0, '0 errors, 0 warnings in 2 files.\n', '']);
  });

  test('exits with 1 for an index in a migration, and prints file, line, column and rule', async () => {
    write('migrations/0002_status.sql', 'select 1;\n  create index on orders (id, status);\n');
    const { exitCode, stdout } = await place.run('lint', ...BOTH);

    expect(exitCode).toBe(1);
    expect(stdout).toContain('migrations/0002_status.sql:2:3: error create-index: A migration creates');
    expect(stdout).toContain('      "name": "orders_id_status_idx",');
    expect(stdout).toContain('1 error, 0 warnings in 3 files.');
  });

  test('reports a wrong registry with the same messages and places as run', async () => {
    write('indexes.json', '[{ "name": "i", "sql": "create index i on orders (id)" }]');
    const linted = await place.run('lint', ...BOTH);
    const ran = await place.run(
      'run',
      '--database-url',
      'postgres://127.0.0.1:1/x',
      '--indexes',
      'indexes.json',
    );

    expect([linted.exitCode, ran.exitCode]).toEqual([1, 1]);
    const found = linted.stdout.matchAll(/^(?<place>\S+:\d+:\d+): error \S+: (?<text>.*)$/gm);
    const lines = [...found].map(({ groups }) => `${groups?.place}: ${groups?.text}`);
    expect(lines.length).toBeGreaterThan(2);
    // `run` prints the absolute path of the file.
    for (const line of lines) expect(ran.stderr.replaceAll(`${place.directory}/`, '')).toContain(line);
  });

  test('a registry that does not exist is a finding', async () => {
    rmSync(place.file('indexes.json'));
    const { exitCode, stdout } = await place.run('lint', '--indexes', 'indexes.json');
    expect(exitCode).toBe(1);
    expect(stdout).toContain('indexes.json:1:1: error registry-file: the file does not exist');
  });

  test('exits with 0 for warnings, and with 1 when --strict is given', async () => {
    write('migrations/0002_lines.sql', 'create table lines (order_id int references orders);\n');

    const { exitCode, stdout } = await place.run('lint', ...BOTH);
    const strict = await place.run('lint', ...BOTH, '--strict');

    expect(stdout).toContain('migrations/0002_lines.sql:1:34: warning foreign-key-without-index');
    expect([exitCode, strict.exitCode]).toEqual([0, 1]);
  });

  test('reads the schema and its comments from a dump when --schema is given', async () => {
    write('structure.sql', 'create table a (id int primary key);\ncreate table b (a_id int references a);\n');
    const flags = ['--indexes', 'indexes.json', '--schema', 'structure.sql'];
    const found = await place.run('lint', ...flags);
    write(
      'structure.sql',
      'create table a (id int primary key);\ncreate table b (\n  -- pg-deploy-step: allow foreign-key-without-index tiny\n  a_id int references a\n);\n',
    );
    const allowed = await place.run('lint', ...flags);

    expect(found.stdout).toContain('structure.sql:2:26: warning foreign-key-without-index');
    expect(allowed.stdout).toBe('0 errors, 0 warnings in 2 files.\n');
  });

  test('ignores down migrations, also in a single file, and warns of migrations that are code', async () => {
    const text = '-- Up Migration\nselect 1;\n-- Down Migration\ndrop index i;\n';
    write('migrations/0002_back.sql', text);
    write('migrations/seed.py', 'print()\n');
    const file = await place.run('lint', '--migrations', 'migrations/0002_back.sql');
    const folder = await place.run('lint', '--migrations', 'migrations', '--from', 'plain');

    expect(file.stdout).toBe('0 errors, 0 warnings in 1 file.\n');
    expect(folder.stdout).toContain(
      'migrations/seed.py:1:1: warning unreadable: The file seed.py is not checked',
    );
  });

  test('reports an unused allow comment only when it checks the rule of the comment', async () => {
    const fk = '-- pg-deploy-step: allow foreign-key-without-index tiny\n';
    write('migrations/0001_orders.sql', 'create table orders (id int primary key, status text);\n');
    write('migrations/0002_lines.sql', `create table lines (\n${fk}  order_id int references orders);\n`);
    write(
      'migrations/0003_old.sql',
      '-- pg-deploy-step: allow drop-index it is history\ndrop table if exists i;\n',
    );
    const alone = await place.run('lint', '--migrations', 'migrations', '--start-after', '0003_old');
    const history = await place.run('lint', ...BOTH, '--start-after', '0003_old');
    const judged = await place.run('lint', ...BOTH);

    expect(alone.stdout).toBe('0 errors, 0 warnings in 3 files.\n');
    expect(history.stdout).toBe('0 errors, 0 warnings in 4 files.\n');
    expect(judged.stdout).toContain('migrations/0003_old.sql:1:1: warning allow-comment');
    expect(judged.stdout).toContain('0 errors, 1 warning in 4 files.');
  });

  test('lints only migrations after --start-after, and still knows the definitions in earlier ones', async () => {
    write('migrations/0002_old.sql', 'create index old on orders (id);\n');
    write(
      'migrations/0003_make.sql',
      "create procedure make() language sql as 'create index made on orders (id)';\n",
    );
    write('migrations/0004_new.sql', 'call make();\n');
    const { stdout } = await place.run('lint', ...BOTH, '--start-after', '0003_make');
    const unknown = await place.run('lint', ...BOTH, '--start-after', '0009_x');

    expect(stdout).toContain('migrations/0004_new.sql:1:1: error create-index: The statement runs make()');
    expect(stdout).toContain('1 error, 0 warnings in 5 files.');
    expect(unknown.exitCode).toBe(1);
    expect(unknown.stderr).toBe(
      'The migration "0009_x" to start after does not exist. The last migration is migrations/0004_new.sql.\n',
    );
  });

  test('prints only JSON or only GitHub commands when --format asks for them', async () => {
    write('migrations/0002_status.sql', 'reindex table orders;\n');
    const json = await place.run('lint', ...BOTH, '--format', 'json');
    const github = await place.run('lint', ...BOTH, '--format', 'github');

    expect(JSON.parse(json.stdout)).toMatchObject({
      errors: 1,
      warnings: 0,
      files: 3,
      findings: [{ rule: 'reindex', file: 'migrations/0002_status.sql', line: 1, column: 1 }],
    });
    expect(github.stdout).toMatch(
      /^::error file=migrations\/0002_status\.sql,line=1,col=1,title=reindex::REINDEX without [^\n]*\n$/,
    );
    expect([json.exitCode, github.exitCode]).toEqual([1, 1]);
  });
});

describe('lint --fix', () => {
  test('moves what it can, prints the reason for the rest, and lints the result', async () => {
    write('migrations/0002_status.sql', '-- Orders by number\ncreate index on orders (id, status);\n');
    write('migrations/0003_more.sql', 'create index gone on orders (id);\n');
    write('migrations/0004_less.sql', '-- pg-deploy-step: allow drop-index it is empty\ndrop index gone;\n');
    const { exitCode, stdout } = await place.run('lint', ...BOTH, '--fix');

    expect(exitCode).toBe(1);
    expect(stdout).toContain('Moved orders_id_status_idx from migrations/0002_status.sql, line 2.');
    expect(stdout).toContain(
      'Did not move gone from migrations/0003_more.sql, line 1: migrations/0004_less.sql, line 2 drops it',
    );
    expect(stdout).toContain('1 error, 0 warnings, 1 moved in 5 files.');
    expect(JSON.parse(readFileSync(place.file('indexes.json'), 'utf8'))).toEqual([
      ...REGISTRY,
      {
        name: 'orders_id_status_idx',
        sql: 'create index concurrently if not exists orders_id_status_idx on orders (id, status)',
        description: 'Orders by number',
      },
    ]);
  });

  test('does not move a statement that a comment allows', async () => {
    const text =
      '-- pg-deploy-step: allow create-index the extension asks for it here\ncreate index i on orders (id);\n';
    write('migrations/0002_status.sql', text);
    const { exitCode } = await place.run('lint', ...BOTH, '--fix');

    expect(exitCode).toBe(0);
    expect(readFileSync(place.file('migrations/0002_status.sql'), 'utf8')).toBe(text);
  });

  test('changes nothing when the registry cannot be used', async () => {
    const text = 'create index i on orders (id);\n';
    write('migrations/0002_status.sql', text);
    write('indexes.json', '[{}]');
    const { exitCode, stderr } = await place.run('lint', ...BOTH, '--fix');

    expect(exitCode).toBe(1);
    expect(stderr).toContain('The index registry has');
    expect(readFileSync(place.file('migrations/0002_status.sql'), 'utf8')).toBe(text);
  });
});

describe('lint without flags reads cdk.json', () => {
  const environment = {
    database: { secretArn: 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:dev/postgres-AbCdEf' },
    indexes: 'indexes.json',
    migrations: 'migrations',
  };
  const configure = (context: unknown) => write('cdk.json', JSON.stringify({ context }));

  test('and lints the files that several environments share only once', async () => {
    write('other.json', '[]');
    configure({
      environments: { dev: environment, prod: environment, test: { ...environment, indexes: 'other.json' } },
    });
    const { exitCode, stdout } = await place.run('lint');
    expect([exitCode, stdout]).toEqual([0, '0 errors, 0 warnings in 4 files.\n']);
  });

  test('and uses its tenantColumn and startAfter', async () => {
    write(
      'migrations/0002_old.sql',
      'create table t (org_id int, a int);\ncreate index i on t (a, org_id);\n',
    );
    write(
      'indexes.json',
      JSON.stringify([
        { ...REGISTRY[0], sql: 'create index concurrently if not exists idx_orders_status on t (a, org_id)' },
      ]),
    );
    configure({
      environments: { dev: environment },
      lint: { tenantColumn: 'org_id', startAfter: '0002_old.sql' },
    });
    const { exitCode, stdout } = await place.run('lint');

    expect(stdout).toMatch(/^indexes\.json:1:\d+: warning tenant-column-first/);
    expect(stdout).toContain('0 errors, 1 warning in 3 files.');
    expect(exitCode).toBe(0);
  });

  test.each([
    [
      'a wrong field',
      { environments: { dev: environment }, lint: { tenantcolumn: 'org_id' } },
      '  lint: unknown field tenantcolumn; valid fields: tenantColumn, migrations, startAfter, placeholders, rules, acceptedForeignKeys, schema',
    ],
    [
      'a folder that does not exist',
      { environments: { dev: { ...environment, migrations: 'nowhere' } } },
      'cdk.json, context: environments.dev.migrations: nowhere does not exist.',
    ],
    ['no environments', {}, 'cdk.json has no context "environments"'],
  ])('and reports %s with the path of the field', async (_what, context, message) => {
    configure(context);
    const { exitCode, stderr } = await place.run('lint');
    expect(exitCode).toBe(1);
    expect(stderr).toContain(message);
  });
});

describe('wrong usage exits with 2 and says where the usage is', () => {
  test.each([
    ['nothing to lint', [], 'that says what to lint; give --indexes <file> and --migrations <path>.'],
    [
      'a folder that does not exist',
      ['--migrations', 'nowhere'],
      "argument 'nowhere' is invalid. The file or folder ",
    ],
    ['an unknown format', ['--format', 'xml'], 'Allowed choices are text, json, github.'],
    [
      'a fix without a registry',
      ['--migrations', 'migrations', '--fix'],
      "option '--fix': give the registry that receives the indexes with --indexes <file>.",
    ],
    ['an empty name', ['--tenant-column', ''], "argument '' is invalid. It must not be empty."],
  ])('%s', async (_what, flags, message) => {
    const { exitCode, stderr } = await place.run('lint', ...flags);
    expect(exitCode).toBe(2);
    expect(stderr).toContain(message);
    expect(stderr).toContain('(pg-deploy-step lint --help lists its flags)');
    expect(stderr).not.toContain('Usage:');
  });
});
