import { expect, test } from 'vitest';
import { importSources } from '../../lib/import/import-sources.ts';

async function importSql(...texts: string[]) {
  const files = texts.map((text, at) => ({ file: `${at + 1}.sql`, text, hasLines: true }));
  return await importSources({ files, skipped: [] });
}

const T = 'create table t (a int, b text, c int);';

async function notImported(...texts: string[]): Promise<string[]> {
  const { notTaken } = await importSql(...texts);
  return notTaken.map(({ file, line, what, reason }) => `${file}:${line} ${what}: ${reason}`);
}

test('an index that a later statement drops is counted and not imported, whatever drops it', async () => {
  const { entries, dropped } = await importSql(
    `${T} create index i1 on t (a); create index i2 on t (b); create index i3 on t (c);
     create table u (a int); create index i4 on u (a)`,
    'drop index i1; alter table t drop column b; drop table u;',
  );
  expect(entries.map(({ name }) => name)).toEqual(['i3']);
  expect(dropped).toBe(3);
});

test('an index that is renamed or moved later has its last name, table and schema', async () => {
  const { entries } = await importSql(
    `${T} create schema s; create index i on t (a);`,
    'alter index i rename to j; alter table t rename to "U"; alter table "U" set schema s;',
  );
  expect(entries.map(({ sql }) => sql)).toEqual(['create index concurrently if not exists j on s."U" (a)']);
});

test('an index that a constraint uses with USING INDEX belongs to the constraint', async () => {
  const { entries, constraints } = await importSql(
    `${T} create unique index i on t (a);`,
    'alter table t add constraint k unique using index i;',
  );
  expect(entries).toEqual([]);
  expect(constraints).toBe(1);
});

test('a name of more than 63 bytes is truncated as in the database', async () => {
  const { entries } = await importSql(`${T} create index ${'x'.repeat(70)} on t (a);`);
  expect(entries.map(({ name }) => name)).toEqual(['x'.repeat(63)]);
});

test('the default tablespace of the session is added to the statement', async () => {
  const { entries } = await importSql(
    `${T} set default_tablespace = fast; create index i on t (a) where b = 'where'; set default_tablespace = '';
     create index j on t (a);`,
  );
  expect(entries.map(({ sql }) => sql.replaceAll(/\s+/g, ' '))).toEqual([
    "create index concurrently if not exists i on t (a) tablespace fast where b = 'where'",
    'create index concurrently if not exists j on t (a)',
  ]);
});

test('an index whose predicate names table.column is not imported if either is renamed', async () => {
  expect(
    await notImported(`${T} create index i on t (a) where t.b = 'x';`, 'alter table t rename column b to d;'),
  ).toEqual(['1.sql:1 index i: its statement names t.b, which is renamed later; write its entry yourself']);
  expect(
    await notImported(`${T} create index i on t (a) where t.b = 'x';`, 'alter table t rename to u;'),
  ).toHaveLength(1);
});

test('indexes that code creates, also in a string for EXECUTE, are reported at their lines; comments in code are not', async () => {
  const created = await notImported(`create function f() returns void language plpgsql as $$
begin
  -- create index one on t (a)
  create unique index two on t (a);
  execute 'create index three on t (a)';
end $$;`);
  expect(created.map((text) => text.slice(0, text.indexOf(': ')))).toEqual([
    '1.sql:4 index created in a function',
    '1.sql:5 index created in a function',
  ]);
});

test('a DROP INDEX with a placeholder is reported, because its entry may have to go', async () => {
  const [text] = await notImported(`${T} create index i on t (a);\ndrop index \${name};`);
  expect(text).toMatch(/^1\.sql:2 statement "drop index \$\{name\}": the index that it drops depends on/);
});

test("of two indexes that executions cannot distinguish, the second is reported with the compiler's message", async () => {
  const { entries, notTaken } = await importSql(
    'create schema s; create table s.t (a int); create table t (a int); create index i on s.t (a); create index "s.i" on t (a);',
  );
  expect(entries.map(({ name }) => name)).toEqual(['i']);
  expect(notTaken).toMatchObject([{ line: 1, what: 'index s.i' }]);
  expect(notTaken[0]?.reason).toContain('executions and reports cannot distinguish');
});

test('changes to indexes outside of the model are reported: copies, settings and rollbacks', async () => {
  expect(
    await notImported(`${T} create index i on t (a);
create table l (like t including indexes);
alter index i set (fillfactor = 70);
begin; create index j on t (b);
rollback;`),
  ).toEqual([
    expect.stringMatching(/^1.sql:2 statement "create table l .*: it copies the indexes of t,/),
    expect.stringMatching(/^1.sql:3 statement "alter index i .*: it changes i after its creation;/),
    expect.stringMatching(/^1.sql:5 statement "rollback": it rolls back indexes that this import counts/),
  ]);
});

test('copies and settings of other relations, and transactions that are committed, are not reported', async () => {
  expect(
    await notImported(`create table k (a int primary key); create table l (like k including all);
      create table m (like k); alter table k set (fillfactor = 70);
      begin; create index j on k (a); commit; begin; select 1; rollback;`),
  ).toEqual([]);
});

test('files and queries that psql would run are reported, and its other commands are not', async () => {
  expect(
    await notImported(`\\set x 1
\\i other.sql
select 'create index i on t (a)' \\gexec`),
  ).toEqual([
    '1.sql:2 command \\i other.sql: it runs another file; name that file as well',
    '1.sql:3 command \\gexec: psql runs the output of the query before it, which is unknown here',
  ]);
});

test('files that are not UTF-8 are refused with line and byte', async () => {
  const problem = { line: 2, column: 3, offset: 12, message: 'Byte 0xE9 at offset 12 is not valid UTF-8.' };
  const wrong = { file: 'a.sql', text: '', hasLines: true, encodingProblem: problem };

  await expect(importSources({ files: [wrong], skipped: [] })).rejects.toThrow(
    'a.sql:2:3: Byte 0xE9 at offset 12 is not valid UTF-8.',
  );
});

test('transaction control in the files of other tools does not disturb the import', async () => {
  const text = 'begin;\ncreate table t (a int);\ncreate index i on t (a);\ncommit;';
  const { entries } = await importSources({ files: [{ file: 'a.sql', text, hasLines: true }], skipped: [] });

  expect(entries.map(({ name }) => name)).toEqual(['i']);
});
