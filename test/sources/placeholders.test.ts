import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { parsePlaceholder, withValues } from '../../lib/sources/placeholders.ts';
import { sqlOf } from '../../lib/sources/read-source.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';

let place: CommandFolder;
beforeEach(() => {
  place?.remove();
  place = createCommandFolder();
  mkdirSync(place.file('m'));
  writeFileSync(place.file('indexes.json'), '[]');
});
afterAll(() => place.remove());

const write = (name: string, text: string) => writeFileSync(place.file(`m/${name}`), text);

const TEMPLATE = `create table {{schema}}.t (a int, b text);
{{ if .Indexes }}
create index i on {{schema}}.t (a);
create index "j_{{ .Env }}" on {{schema}}.t (b);
{{ end }}
`;

describe('import', () => {
  test('reports the statements of a file that depend on placeholders in one line', async () => {
    write('1.sql', TEMPLATE);
    write('2.sql', 'create table u (a int);\ncreate index k on u (a);\n');
    const { exitCode, stdout, stderr } = await place.run('import', 'm', '--json');

    expect(exitCode).toBe(0);
    const { entries, notTaken } = JSON.parse(stdout);
    expect(entries.map(({ name }: { name: string }) => name)).toEqual(['k']);
    expect(notTaken).toEqual([
      {
        file: 'm/1.sql',
        line: 2,
        what: '{{ if .Indexes }}',
        reason: 'the statements after it are read as if they applied in any case; check their entries',
      },
      {
        file: 'm/1.sql',
        line: 3,
        what: '2 statements with {{schema}}, {{ .Env }}',
        reason: "the values are unknown here; give them with --placeholder 'schema=VALUE'",
      },
    ]);
    expect(stderr).toContain('2 not imported');
  });

  test('reads them with the values that --placeholder gives, also in quotes and in code', async () => {
    write(
      '1.sql',
      `create table {{schema}}.t (a int, b text, env text);
create index "j_{{ .Env }}" on \${schema}.t (b) where env = '{{Env}}';
comment on index {{schema}}."j_{{Env}}" is 'For {{Env}}';
do $$ begin create index on {{schema}}.t (a); end $$;
`,
    );
    const values = ['--placeholder', 'schema=app', '--placeholder', 'Env=prod'];
    const { stdout, stderr } = await place.run('import', 'm', '--format', 'json', ...values);

    expect(JSON.parse(stdout)).toMatchObject([
      {
        name: 'j_prod',
        sql: "create index concurrently if not exists j_prod on app.t (b) where env = 'prod'",
        description: 'For prod',
      },
      { name: 't_a_idx', sql: 'create index concurrently if not exists t_a_idx on app.t (a)' },
    ]);
    expect(stderr).toContain('2 imported');
  });
});

describe('lint', () => {
  test('reports what it cannot parse in one line for each file, and each index at its place', async () => {
    write('1.sql', TEMPLATE);
    const { stdout } = await place.run('lint', '--migrations', 'm', '--format', 'json');

    const { findings } = JSON.parse(stdout);
    expect(findings.map(({ rule, line }: { rule: string; line: number }) => `${line} ${rule}`)).toEqual([
      '3 create-index-on-new-table',
      '4 create-index-on-new-table',
    ]);
    expect(findings[1].message).toContain('The value of {{ .Env }}, {{schema}} is unknown here');

    write(
      '1.sql',
      'alter {{what}} t;\n\ndrop {{what}} {{name}} {{x}};\ncreate {{unique}} index i on t (a);\n',
    );
    const unparsed = await place.run('lint', '--migrations', 'm');
    expect(unparsed.stdout).toContain(
      "m/1.sql:1:1: warning unreadable: 3 statements with {{what}}, {{name}}, {{x}}, {{unique}} cannot be parsed and checked: the values are unknown here; give them with --placeholder 'what=VALUE'.",
    );
    expect(unparsed.stdout).toContain('0 errors, 1 warning in 1 file.');
  });

  test('has the places of the file with values of another length, and --fix changes nothing else', async () => {
    const text =
      '\ufeffcreate table {{schema}}.t (a int);\r\nselect 1 from {{schema}}.t; create index i on {{schema}}.t (a); -- why\r\nselect {{x}};';
    write('1.sql', text);
    const flags = [
      '--migrations',
      'm',
      '--indexes',
      'indexes.json',
      '--placeholder',
      '{{schema}}=a_longer_name',
    ];
    const linted = await place.run('lint', ...flags);
    await place.run('lint', ...flags, '--fix');

    expect(linted.stdout).toContain('m/1.sql:2:29: error create-index-on-new-table: ');
    expect(linted.stdout).toContain('on a_longer_name.t (a)');
    expect(readFileSync(place.file('m/1.sql'), 'utf8')).toBe(
      text.replace('create index i on {{schema}}.t (a);', '-- pg-deploy-step: moved i into indexes.json'),
    );
    expect(JSON.parse(readFileSync(place.file('indexes.json'), 'utf8'))).toMatchObject([
      { sql: 'create index concurrently if not exists i on a_longer_name.t (a)' },
    ]);
  });

  test('takes values from cdk.json', async () => {
    write('1.sql', 'create table {{schema}}.t (a int);\n{{prefix}} create index i on {{schema}}.t (a);\n');
    const secretArn = 'arn:aws:secretsmanager:eu-west-1:111111111111:secret:dev/postgres-AbCdEf';
    const environment = { database: { secretArn }, indexes: 'indexes.json', migrations: 'm' };
    const lint = { placeholders: { schema: 'app', prefix: '' } };
    writeFileSync(
      place.file('cdk.json'),
      JSON.stringify({ context: { environments: { dev: environment }, lint } }),
    );

    expect((await place.run('lint')).stdout).toContain('on app.t (a)');
  });
});

test.each([
  ['schema', 'must be NAME=VALUE'],
  ['=x', 'must have a name before the ='],
  ['a=b\nc', 'must have a value on one line'],
])('%j is no value of a placeholder', (text, problem) => {
  expect(parsePlaceholder(text)).toMatchObject({ problem: expect.stringContaining(problem) });
});

test.each([
  ['schema=public', 'schema', 'public'],
  ['{{ .Schema }}=a=b', 'Schema', 'a=b'],
  ['x=', 'x', ''],
])('%j has the name %j and the value %j', (text, name, value) => {
  expect(parsePlaceholder(text)).toEqual({ name, value });
});

test('places and statements in a text with values are those of the file', () => {
  const text = 'select {{a}}, {{b}}, c;\n select {{a}}{{b}} x;';
  const values = new Map([
    ['a', 'long_value'],
    ['b', ''],
  ]);
  const source = withValues({ file: 'f', text, hasLines: true }, values);

  expect(source.text).toBe('select long_value, , c;\n select long_value x;');
  const [, second] = sqlOf(source).statements;
  expect({ line: second?.line, column: second?.column }).toEqual({ line: 2, column: 2 });
  const at = source.text.lastIndexOf('x');
  expect(source.origin?.offsetOf(at)).toBe(text.lastIndexOf('x'));
  expect(source.origin?.offsetOf(source.text.indexOf('c;'))).toBe(text.indexOf('c;'));
});

test('arrays in strings are no placeholders, and neither is the data of INSERT', () => {
  const statements = [
    "create index i on t (a) where b = '{{1,2},{3,4}}'",
    "insert into t values ('{{name}}')",
  ];
  for (const sql of statements) {
    expect(sqlOf({ file: 'f', text: sql, hasLines: true }).statements[0]?.placeholders).toEqual([]);
  }
});

test('quotes in a template do not end the identifier that contains it', () => {
  const text = 'create index "{{ name "a" }}" on "{{ identifier "t" }}" ("b");\nselect 1;';
  const [first, second] = sqlOf({ file: 'f', text, hasLines: true }).statements;

  expect(first?.placeholders).toEqual(['{{ name "a" }}', '{{ identifier "t" }}']);
  expect(first?.node?.IndexStmt).toBeDefined();
  expect(second?.node?.SelectStmt).toBeDefined();
});
