import { expect, test } from 'vitest';
import { importSources } from '../../lib/import/import-sql.ts';

async function importSql(...texts: string[]) {
  const files = texts.map((text, at) => ({ file: `${at + 1}.sql`, text, hasLines: true }));
  return await importSources({ files, notTaken: [] });
}

const T = 'create table t (a int, b text, c int);';

async function told(...texts: string[]): Promise<string[]> {
  const { notTaken } = await importSql(...texts);
  return notTaken.map(({ file, line, what, reason }) => `${file}:${line} ${what}: ${reason}`);
}

test('what is dropped later is no entry and is counted, however it is dropped', async () => {
  const { entries, dropped } = await importSql(
    `${T} create index i1 on t (a); create index i2 on t (b); create index i3 on t (c);
     create table u (a int); create index i4 on u (a)`,
    'drop index i1; alter table t drop column b; drop table u;',
  );
  expect(entries.map(({ name }) => name)).toEqual(['i3']);
  expect(dropped).toBe(3);
});

test('what is renamed or moved later has its last name, table and schema', async () => {
  const { entries } = await importSql(
    `${T} create schema s; create index i on t (a);`,
    'alter index i rename to j; alter table t rename to "U"; alter table "U" set schema s;',
  );
  expect(entries.map(({ sql }) => sql)).toEqual(['create index concurrently if not exists j on s."U" (a)']);
});

test("an index that a constraint takes with USING INDEX is the constraint's own", async () => {
  const { entries, constraints } = await importSql(
    `${T} create unique index i on t (a);`,
    'alter table t add constraint k unique using index i;',
  );
  expect(entries).toEqual([]);
  expect(constraints).toBe(1);
});

test('a name that is cut at 63 bytes is taken as the database has it', async () => {
  const { entries } = await importSql(`${T} create index ${'x'.repeat(70)} on t (a);`);
  expect(entries.map(({ name }) => name)).toEqual(['x'.repeat(63)]);
});

test('a tablespace that the session had set is in the statement', async () => {
  const { entries } = await importSql(
    `${T} set default_tablespace = fast; create index i on t (a) where b = 'where'; set default_tablespace = '';
     create index j on t (a);`,
  );
  expect(entries.map(({ sql }) => sql.replaceAll(/\s+/g, ' '))).toEqual([
    "create index concurrently if not exists i on t (a) tablespace fast where b = 'where'",
    'create index concurrently if not exists j on t (a)',
  ]);
});

test('a column named with its table is not followed where either is renamed', async () => {
  expect(
    await told(`${T} create index i on t (a) where t.b = 'x';`, 'alter table t rename column b to d;'),
  ).toEqual(['1.sql:1 index i: its text names t.b, which has another name since; write its entry by hand']);
  expect(
    await told(`${T} create index i on t (a) where t.b = 'x';`, 'alter table t rename to u;'),
  ).toHaveLength(1);
});

test('indexes made by code, in a text for EXECUTE too, are told at their lines, and comments of code are not', async () => {
  const made = await told(`create function f() returns void language plpgsql as $$
begin
  -- create index one on t (a)
  create unique index two on t (a);
  execute 'create index three on t (a)';
end $$;`);
  expect(made.map((text) => text.slice(0, text.indexOf(': ')))).toEqual([
    '1.sql:4 index made in a function',
    '1.sql:5 index made in a function',
  ]);
});

test('a drop that depends on a placeholder is told, because an entry may be too many', async () => {
  const [text] = await told(`${T} create index i on t (a);\ndrop index \${name};`);
  expect(text).toMatch(/^1\.sql:2 statement "drop index \$\{name\}": which index it drops depends on/);
});

test("of two that executions cannot tell apart the first is taken, and the other told in the compiler's words", async () => {
  const { entries, notTaken } = await importSql(
    'create schema s; create table s.t (a int); create table t (a int); create index i on s.t (a); create index "s.i" on t (a);',
  );
  expect(entries.map(({ name }) => name)).toEqual(['i']);
  expect(notTaken).toMatchObject([{ line: 1, what: 'index s.i' }]);
  expect(notTaken[0]?.reason).toContain('executions and reports cannot distinguish');
});

test('what changes indexes and cannot be followed is told: copies, settings, and what is taken back', async () => {
  expect(
    await told(`${T} create index i on t (a);
create table l (like t including indexes);
alter index i set (fillfactor = 70);
begin; create index j on t (b);
rollback;`),
  ).toEqual([
    expect.stringMatching(/^1.sql:2 statement "create table l .*: it copies the indexes of t,/),
    expect.stringMatching(/^1.sql:3 statement "alter index i .*: it changes i after it was made;/),
    expect.stringMatching(/^1.sql:5 statement "rollback": it takes back indexes that count here/),
  ]);
});

test('copies and settings of what has no index of its own, and transactions that are kept, are not told', async () => {
  expect(
    await told(`create table k (a int primary key); create table l (like k including all);
      create table m (like k); alter table k set (fillfactor = 70);
      begin; create index j on k (a); commit; begin; select 1; rollback;`),
  ).toEqual([]);
});

test('files and queries that psql would run are told, and its other commands are not', async () => {
  expect(
    await told(`\\set x 1
\\i other.sql
select 'create index i on t (a)' \\gexec`),
  ).toEqual([
    '1.sql:2 command \\i other.sql: it is another file; name that one too',
    '1.sql:3 command \\gexec: psql runs what the query before it gives, and that is not known here',
  ]);
});
