import { describe, expect, test } from 'vitest';
import { entry, lintEntries, rulesFound } from './registry-support.ts';

describe('an index is redundant', () => {
  test.each([
    ['whose columns another one starts with', 't (a)', 't (a, b)'],
    ['that is written differently', 'public."t" using BTREE (A asc nulls last) -- x', 't (a, b desc)'],
    ['whose order is the same', 't (a desc, b nulls first)', 't (a desc nulls first, b asc nulls first, c)'],
    ['whose order is the opposite', 't (a desc, b)', 't (a, b desc nulls first, c)'],
    ['with the same expression', 't (lower( a ))', 't ((lower(a)), b)'],
    ['with the same predicate', "t (a) where b = 'x'", "t (a, c) where (B  = 'x')"],
    [
      'with the same operator class and collation',
      't (a collate "C" text_pattern_ops)',
      't (a collate "C" text_pattern_ops, b)',
    ],
    ['whose included columns are in the other one', 't (a) include (b, c)', 't (a, c) include (b, d)'],
    ['with the same columns and fewer included ones', 't (a)', 't (a) include (b)'],
  ])('%s', async (_case, shorter, longer) => {
    const one = entry('short', shorter);
    const two = entry('long', longer);
    expect(await rulesFound([one, two])).toEqual(['redundant-index of short']);
    expect(await rulesFound([two, one])).toEqual(['redundant-index of short']);
  });

  test('next to a unique index, or one with other storage parameters, on the same columns', async () => {
    const unique = entry('u', 't (a)', undefined, 'unique');
    expect(await rulesFound([entry('p', 't (a)'), unique])).toEqual(['redundant-index of p']);
    const filled = entry('f', 't (a) with (fillfactor = 70)');
    expect(await rulesFound([entry('p', 't (a)'), filled])).toEqual(['redundant-index of f']);
  });

  test('and the message names the other index and how to accept the warning', async () => {
    const [finding] = await lintEntries([entry('a', 'crm.t (a)'), entry('b', 'crm.t (a, b)')]);
    expect(finding).toMatchObject({ severity: 'warning', line: 2, column: 13 });
    expect(finding?.message).toBe(
      'entry 1 "a": "crm.b" (entry 2) starts with the same columns, so the same queries can use it, and every write ' +
        "updates both; remove this entry, or give the reason to keep it: accept: { 'redundant-index': 'reason' }",
    );
  });
});

describe('an index is not redundant', () => {
  test.each([
    ['on another table', 't (a)', 'u (a, b)'],
    ['on a table of another schema', 't (a)', 'crm.t (a, b)'],
    ['whose columns another one has in a later position', 't (b)', 't (a, b)'],
    ['whose columns another one has in another order', 't (a, b)', 't (b, a, c)'],
    ['with only one of two opposite directions', 't (a desc, b)', 't (a, b, c)'],
    ['with another order of nulls', 't (a nulls first)', 't (a, b)'],
    ['with another predicate', 't (a) where b = 1', 't (a, c) where b = 2'],
    ['with a predicate', 't (a) where b = 1', 't (a, c)'],
    ['next to one with a predicate', 't (a)', 't (a, c) where b = 1'],
    ['with another operator class', 't (a text_pattern_ops)', 't (a, b)'],
    ['with another collation', 't (a collate "C")', 't (a, b)'],
    ['with another method', 't using hash (a)', 't (a, b)'],
    ['with a method that has no order of columns', 't using gin (a)', 't using gin (a, b)'],
    ['with an included column that is missing in the other one', 't (a) include (b)', 't (a, c)'],
    ['on another expression', 't (lower(a))', 't (upper(a), b)'],
    ['on a column that the other one has in an expression', 't (a)', 't ((a || b), c)'],
    ['on a quoted column in another case', 't ("A")', 't (a, b)'],
  ])('%s', async (_case, shorter, longer) => {
    expect(await rulesFound([entry('short', shorter), entry('long', longer)])).toEqual([]);
  });

  test('that is unique', async () => {
    expect(await rulesFound([entry('u', 't (a)', undefined, 'unique'), entry('l', 't (a, b)')])).toEqual([]);
  });
});

describe('an index is a duplicate', () => {
  test.each([
    ['written differently', 't (a, b desc)', 'PUBLIC."t" using btree (A asc, b DESC nulls first) /* x */'],
    ['with any method', 't using gin (tags) where b', 't  using gin(tags) where (b)'],
    ['with parameters', 't (a) include (b) with (fillfactor=70)', 't (a) include (b) with (fillfactor = 70)'],
  ])('%s', async (_case, one, two) => {
    expect(await rulesFound([entry('one', one), entry('two', two)])).toEqual(['duplicate-index of two']);
  });

  test('and either entry may accept it', async () => {
    const accept = { 'duplicate-index': 'while one is replaced' };
    expect(await rulesFound([entry('one', 't (a)', accept), entry('two', 't (a)')])).toEqual([]);
    expect(await rulesFound([entry('one', 't (a)'), entry('two', 't (a)', accept)])).toEqual([]);
  });

  test('but not if one of them is unique or on another table', async () => {
    const unique = entry('two', 't (a) where b', undefined, 'unique');
    expect(await rulesFound([entry('one', 't (a)'), unique, entry('three', 'u (a)')])).toEqual([]);
  });
});
