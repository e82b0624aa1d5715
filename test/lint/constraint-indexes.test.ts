import { describe, expect, test } from 'vitest';
import { entry, lintEntries, rulesFound, schemaOf } from './registry-support.ts';

const SCHEMA = `create table t (id int primary key, email text constraint t_email unique, a int, b int, c text, "D" int,
    unique (a, b), constraint t_inc unique (c) include (a, b));
  create schema app; create table app.t (id int);
  alter table app.t add constraint app_key unique (id);
  create unique index t_d on t ("D"); alter table t add constraint t_d_key unique using index t_d;
  alter table t rename column email to mail;`;

const options = { schema: schemaOf(SCHEMA), tenantColumn: null };

describe('an entry that equals the index of a constraint is reported', () => {
  test.each([
    ['of the primary key', 't (id)', 'unique'],
    ['of a unique constraint of a column, also after a rename', 'public.t using btree (mail asc)', 'unique'],
    ['of a unique constraint on several columns', 't (a, b)', 'unique'],
    ['with INCLUDE, in any order', 't (c) include (b, a)', 'unique'],
    ['in another schema', 'app.t (id)', 'unique'],
    ['of a constraint that took over an index', 't ("D")', 'unique'],
    ['although the entry is not unique', 't (a, b nulls last)', ''],
    ['with the name of the constraint', 't (mail)', 'unique', 't_email'],
  ])('%s', async (_what, on, unique, name = 'i') => {
    expect(await rulesFound([entry(name, on, undefined, unique)], options)).toEqual([
      `constraint-index of ${name}`,
    ]);
  });

  test('with the constraint and its place, and what happens otherwise', async () => {
    const [same] = await lintEntries([entry('i', 't (mail)', undefined, 'unique')], options);
    expect(same).toMatchObject({ severity: 'warning', line: 2 });
    expect(same?.message).toContain(
      'constraint t_email (schema.sql:1) has the same index, so the deploy reports this entry as equivalent and builds nothing',
    );
    const [plain] = await lintEntries([entry('i', 't (mail)')], options);
    expect(plain?.message).toContain(
      'the index of constraint t_email (schema.sql:1) has the same columns and serves the same queries',
    );
  });
});

describe('an entry is not reported', () => {
  test.each([
    ['with other columns', 't (a)', ''],
    ['with the columns in another order', 't (b, a)', 'unique'],
    ['with more columns', 't (a, b, c)', ''],
    ['with another order', 't (a, b desc)', 'unique'],
    ['with an operator class', 't (mail text_pattern_ops)', ''],
    ['with a collation', 't (mail collate "C")', 'unique'],
    ['with a predicate', 't (mail) where a > 0', 'unique'],
    ['on an expression', 't (lower(mail))', 'unique'],
    ['with another method', 't using hash (mail)', ''],
    ['without the included columns', 't (c)', 'unique'],
    ['with NULLS NOT DISTINCT', 't (mail) nulls not distinct', 'unique'],
    ['on a table of another schema', 'other.t (id)', 'unique'],
  ])('%s', async (_what, on, unique) => {
    expect(await rulesFound([entry('i', on, undefined, unique)], options)).toEqual([]);
  });

  test('if the constraint is deferrable, and the entry is unique', async () => {
    const schema = schemaOf('create table t (a int unique deferrable)');
    expect(await rulesFound([entry('i', 't (a)', undefined, 'unique')], { schema })).toEqual([]);
    expect(await rulesFound([entry('i', 't (a)')], { schema })).toEqual(['constraint-index of i']);
  });

  test('if the entry adds this constraint itself, or the schema is unknown', async () => {
    const own = {
      ...entry('t_email', 't (mail)', undefined, 'unique'),
      constraint: { name: 't_email', type: 'unique' },
    };
    expect(await rulesFound([own], options)).toEqual([]);
    expect(await rulesFound([entry('i', 't (mail)', undefined, 'unique')])).toEqual([]);
  });

  test('if it accepts the warning, and the acceptance is needed only where the table is known', async () => {
    const accept = { 'constraint-index': 'the constraint goes next week' };
    expect(await rulesFound([entry('i', 't (mail)', accept, 'unique')], options)).toEqual([]);
    expect(await rulesFound([entry('i', 't (b)', accept)], options)).toEqual(['unused-accept of i']);
    expect(await rulesFound([entry('i', 'unknown (b)', accept)], options)).toEqual([]);
    expect(await rulesFound([entry('i', 't (b)', accept)])).toEqual([]);
  });
});
