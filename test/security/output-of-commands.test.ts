import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder, type EndedCommand } from '../support/command.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import {
  DANGEROUS_CHARACTERS,
  expectHarmless,
  HOSTILE_NAME,
  HOSTILE_REGISTERED_NAME,
  withoutColours,
} from '../support/hostile-text.ts';
import { waitForRows } from '../support/waits.ts';

const ident = (name: string) => `"${name.replaceAll('"', '""')}"`;
const TABLE = ident(`t${HOSTILE_REGISTERED_NAME}`);
const entry = (name: string, sql: string, more: object = {}) => ({
  name,
  sql: `create ${sql}`,
  description: `by ${HOSTILE_NAME}`,
  ...more,
});
const INDEX = `i${HOSTILE_REGISTERED_NAME}`;
const REGISTRY = [
  entry(INDEX, `index concurrently if not exists ${ident(INDEX)} on ${TABLE} (n)`),
  entry(
    `u${INDEX}`.slice(0, 40),
    `unique index concurrently if not exists ${ident(`u${INDEX}`.slice(0, 40))} on ${TABLE} (n)`,
  ),
  entry(
    'by_column',
    `index concurrently if not exists by_column on ${TABLE} (${ident(HOSTILE_REGISTERED_NAME)})`,
  ),
];

/** A file name cannot contain a slash. */
const FILE = `0001_x\u001b]0;title\u0007\u202e\n::error::y.sql`;

let place: CommandFolder;
let database: TestDatabase;

beforeAll(async () => {
  place = createCommandFolder();
  database = await createDatabase();
  await database.query(
    `create table ${TABLE} (n int, ${ident(HOSTILE_REGISTERED_NAME)} int); insert into ${TABLE} values (1), (1);
     create table ${ident(HOSTILE_NAME)} (n int);
     create index ${ident(`d${HOSTILE_NAME}`)} on ${ident(HOSTILE_NAME)} (n)`,
  );
  write('indexes.json', JSON.stringify(REGISTRY));
  mkdirSync(place.file('migrations'));
  write(
    `migrations/${FILE}`,
    `create table ${TABLE} (n int, ${ident(HOSTILE_NAME)} int);\n` +
      `create index ${ident(`m${INDEX}`.slice(0, 40))} on ${TABLE} (n) where n > 1;\n` +
      `-- pg-deploy-step: allow ${HOSTILE_NAME.replace('\n', '')}\n` +
      `drop index ${ident(INDEX)};\nselect \u001b ${ident(HOSTILE_NAME)};\n`,
  );
  mkdirSync(place.file('failing'));
  write(
    'failing/0001_raises.sql',
    `do $$ begin raise notice '%', ${literal(HOSTILE_NAME)}; raise exception '%', ${literal(HOSTILE_NAME)} using detail = ${literal(HOSTILE_NAME)}, hint = ${literal(HOSTILE_NAME)}; end $$;\n`,
  );
});

afterAll(async () => {
  place.remove();
  await database.drop();
});

function write(name: string, text: string): void {
  writeFileSync(place.file(name), text);
}

function literal(text: string): string {
  return `'${text.replaceAll("'", "''")}'`;
}

function expectHarmlessOutput({ stdout, stderr }: EndedCommand): void {
  expectHarmless(stdout);
  expectHarmless(stderr);
}

const LINT = ['lint', '--indexes', 'indexes.json', '--migrations', 'migrations'];

describe('names, SQL and file names that attack a terminal or a CI system', () => {
  test('are shown as escapes by lint', async () => {
    const ended = await place.run(...LINT);

    expectHarmlessOutput(ended);
    expect(ended.exitCode).toBe(1);
    expect(ended.stdout).toContain('0001_x\\u001b]0;title\\u0007\\u202e\\n::error::y.sql:');
  });

  test('keep their value in the JSON of lint', async () => {
    const ended = await place.run(...LINT, '--format', 'json');

    expectHarmlessOutput(ended);
    const files = JSON.parse(ended.stdout).findings.map(({ file }: { file: string }) => file);
    expect(files).toContain(`migrations/${FILE}`);
  });

  test('make no other annotation than those of lint', async () => {
    const { stdout, stderr } = await place.run(...LINT, '--format', 'github');

    expect(stderr).toBe('');
    const lines = stdout.trimEnd().split('\n');
    const severities = JSON.parse((await place.run(...LINT, '--format', 'json')).stdout).findings;
    expect(lines).toHaveLength(severities.length);
    for (const line of lines) {
      expect(line).toMatch(/^::(?:error|warning) file=[^:,]+,line=\d+,col=\d+,title=[a-z-]+::/);
      expect(line).not.toMatch(DANGEROUS_CHARACTERS);
      expect(line).not.toContain('fake');
    }
  });

  test.each([['ts'], ['json']])(
    'are escapes with the same value in the registry that import prints as %s',
    async (format) => {
      const ended = await place.run('import', '--database-url', database.url, '--format', format);
      expectHarmlessOutput(ended);
      const files = await place.run('import', `migrations/${FILE}`, '--format', format);
      expectHarmlessOutput(files);
      expect(files.stderr).toContain('not imported');
      if (format === 'json') {
        const names = JSON.parse(files.stdout).map(({ name }: { name: string }) => name);
        expect(names).toEqual([`m${INDEX}`.slice(0, 40)]);
      }
    },
  );

  test('keep their value in the JSON of import, and in the registry that it writes', async () => {
    const json = await place.run('import', `migrations/${FILE}`, '--json');
    expectHarmlessOutput(json);
    expect(JSON.parse(json.stdout).entries[0].name).toBe(`m${INDEX}`.slice(0, 40));

    for (const out of ['out.ts', 'out.json']) {
      expectHarmlessOutput(await place.run('import', `migrations/${FILE}`, '--out', out));
      expect(readFileSync(place.file(out), 'utf8').replaceAll('\n', '')).not.toMatch(DANGEROUS_CHARACTERS);
    }
    const again = await place.run('import', `migrations/${FILE}`, '--out', 'out.json');
    expect(again.stderr).toContain('0 imported, 1 already in the registry');
  });

  test('are shown as escapes by doctor, also those of a session and in the JSON', async () => {
    const attacker = await connect(database.url, HOSTILE_NAME.slice(0, 60));
    try {
      await attacker.query(`begin; select 1 as ${ident(HOSTILE_NAME)}`);
      await waitForRows(
        database,
        `select from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()
            and state = 'idle in transaction' and clock_timestamp() - xact_start > interval '1 s'`,
      );
      const flags = ['--database-url', database.url, '--indexes', 'indexes.json', '--session-seconds', '1'];
      for (const more of [[], ['--all']]) expectHarmlessOutput(await place.run('doctor', ...flags, ...more));
      const json = await place.run('doctor', ...flags, '--json');
      expectHarmlessOutput(json);
      const { findings } = JSON.parse(json.stdout) as { findings: { index: string | null; kind: string }[] };
      expect(findings.map(({ index }) => index)).toContain(INDEX);
      expect(findings.map(({ kind }) => kind)).toContain('long-transaction');
    } finally {
      await attacker.end();
    }
  });

  test('are shown as escapes by a deploy, in its report and in its log', async () => {
    const ended = await place.run(...deploy('--migrations', 'none', '--report', 'report.json'));

    expectHarmlessOutput(ended);
    expectHarmless(readFileSync(place.file('report.json'), 'utf8'));
    const report = JSON.parse(readFileSync(place.file('report.json'), 'utf8'));
    expect(report.indexes.map(({ name }: { name: string }) => name)).toContain(INDEX);
    expect(ended.stdout).toContain('ix\\u007f\\u009b2J\\u202e<b>');
    expect(ended.exitCode).toBe(0);
  });

  test('are shown as escapes by a deploy whose migration raises them, and in its log', async () => {
    const ended = await place.run(...deploy('--migrations', 'failing'));

    expectHarmlessOutput(ended);
    expect(ended.exitCode).toBe(1);
    expect(ended.stdout).toContain('\\u001b]8;;');
    expectHarmless(place.logs());
    expect(place.logs()).not.toBe('');
  });

  test('are shown as escapes when a migration command prints them', async () => {
    const printed = `printf ${literal(HOSTILE_NAME.replaceAll('\n', '\\n'))}; exit 3`;
    const ended = await place.run(...deploy('--migration-command', printed));

    expectHarmlessOutput(ended);
    expect(ended.exitCode).toBe(1);
    expect(ended.stdout).toContain('Last output of the migration command:\n  x\\u001b]8;;');
    expectHarmless(place.logs());
  });

  test.each<[string, string[]]>([
    ['a command', [HOSTILE_NAME]],
    ['a flag', ['lint', `--${HOSTILE_NAME}`]],
    ['a flag that is nearly right', ['lint', `--formats${HOSTILE_NAME}`]],
    ['a value of a choice', ['lint', '--format', HOSTILE_NAME]],
    ['a file', ['lint', '--migrations', HOSTILE_NAME]],
    ['a registry', ['lint', '--indexes', HOSTILE_NAME]],
    ['a path of import', ['import', HOSTILE_NAME]],
    ['an output file', ['import', 'indexes.json', '--out', HOSTILE_NAME]],
    ['an index', ['run', '--indexes', 'indexes.json', '--only', HOSTILE_NAME]],
    ['a database URL', ['run', '--database-url', HOSTILE_NAME]],
    ['a report file', ['run', '--report', `nowhere/${HOSTILE_NAME}`]],
    ['a number', ['run', '--attempts', HOSTILE_NAME]],
  ])('are shown as escapes in an error about %s', async (_what, args) => {
    const ended = await place.run(...args);

    expectHarmlessOutput(ended);
    expect(ended.exitCode).not.toBe(0);
    expect(ended.stdout + ended.stderr).not.toBe('');
  });

  test.each<[string, string]>([
    ['an unknown field', JSON.stringify([{ ...REGISTRY[0], [HOSTILE_NAME]: 1 }])],
    ['a value of a field', JSON.stringify([{ ...REGISTRY[0], onDrift: HOSTILE_NAME }])],
    ['a rule to accept', JSON.stringify([{ ...REGISTRY[0], accept: { [HOSTILE_NAME]: 'x' } }])],
    ['SQL that cannot be read', JSON.stringify([{ ...REGISTRY[0], sql: `create ${HOSTILE_NAME}` }])],
    ['another name', JSON.stringify([{ ...REGISTRY[0], name: `other ${HOSTILE_NAME}` }])],
    ['text that is not JSON', `[${HOSTILE_NAME}`],
  ])('are shown as escapes in an error about %s in a registry', async (what, text) => {
    const file = `wrong-${what.replaceAll(' ', '-')}.json`;
    write(file, text);
    for (const args of [
      ['lint', '--indexes', file],
      ['run', '--database-url', database.url, '--indexes', file],
    ]) {
      const ended = await place.run(...args);
      expectHarmlessOutput(ended);
      expect(ended.exitCode, ended.stdout + ended.stderr).toBe(1);
    }
  });

  test('are shown as escapes in an error that a registry throws', async () => {
    write('throws.ts', `throw new Error(${JSON.stringify(HOSTILE_NAME)});\n`);
    for (const command of [['lint'], ['run', '--database-url', database.url]]) {
      const ended = await place.run(...command, '--indexes', 'throws.ts');
      expectHarmlessOutput(ended);
      expect(ended.stdout + ended.stderr).toContain('\\u001b]8;;');
    }
  });

  test('are shown as escapes in an error about cdk.json', async () => {
    const folder = createCommandFolder();
    for (const context of [
      { environments: { [HOSTILE_NAME]: {} } },
      { environments: { prod: { [HOSTILE_NAME]: 1 } } },
      { lint: { startAfter: HOSTILE_NAME, migrations: [HOSTILE_NAME] } },
    ]) {
      writeFileSync(join(folder.directory, 'cdk.json'), JSON.stringify({ context }));
      const ended = await folder.run('lint');
      expectHarmlessOutput(ended);
      expect(ended.exitCode).toBe(1);
    }
    folder.remove();
  });

  test('do not use the colours of the output', async () => {
    const colourful = createCommandFolder({ FORCE_COLOR: '1' });
    for (const name of readdirSync(place.directory, { withFileTypes: true })) {
      if (name.isFile() && name.name === 'indexes.json')
        writeFileSync(join(colourful.directory, name.name), readFileSync(place.file(name.name)));
    }
    mkdirSync(colourful.file('migrations'));
    writeFileSync(colourful.file(`migrations/${FILE}`), readFileSync(place.file(`migrations/${FILE}`)));
    const linted = await colourful.run(...LINT);
    const ran = await colourful.run(...deploy('--migrations', 'none', '--mode', 'plan'));
    for (const { stdout, stderr } of [linted, ran]) {
      expectHarmless(withoutColours(stdout));
      expectHarmless(stderr);
    }
    expect(linted.stdout).toContain('\u001b[31merror\u001b[39m');
    colourful.remove();
  });
});

function deploy(...args: string[]): string[] {
  return [
    'run',
    '--database-url',
    database.url,
    '--indexes',
    'indexes.json',
    '--lock-timeout',
    '3',
    '--attempts',
    '1',
    ...args,
  ];
}
