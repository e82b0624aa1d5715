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

test('indexes that LIKE copies from a table which no file creates are reported', async () => {
  expect(await notImported('create table l (like t including indexes);\ncreate table m (like t);')).toEqual([
    expect.stringMatching(
      /^1.sql:1 table l: LIKE … INCLUDING INDEXES copies the indexes of t, which no statement/,
    ),
  ]);
});

test('an index in doubt is reported at the statement that decides, with what it does', async () => {
  const files = [
    `${T} create index i on t (a);`,
    'do $$ begin\n  if (select count(*) from t) = 0 then\n    drop index i;\n  end if;\nend $$;',
  ];
  expect(await notImported(...files)).toEqual([
    '2.sql:3 index i: a DO block runs "drop index i" only under a condition that is unknown here; look whether the database has it, ' +
      'and write its entry yourself, or import the live database',
  ]);
});

test('an entry from a DO block names the line of its statement', async () => {
  const { entries } = await importSql(T, 'do $$ begin\n  -- ü\n  create index i on t (a);\nend $$;');
  expect(entries.map(({ description }) => description)).toEqual([
    'Imported from 2.sql, line 3. Describe what uses this index.',
  ]);
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
