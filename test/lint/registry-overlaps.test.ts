import { describe, expect, test } from 'vitest';
import { entry, lintEntries, rulesFound } from './registry-support.ts';

describe('an index is redundant', () => {
  test.each([
    ['whose columns another one begins with', 't (a)', 't (a, b)'],
    ['that is written otherwise', 'public."t" using BTREE (A asc nulls last) -- x', 't (a, b desc)'],
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

  test('beside a unique one, or one that is stored otherwise, of the same columns', async () => {
    const unique = entry('u', 't (a)', undefined, 'unique');
    expect(await rulesFound([entry('p', 't (a)'), unique])).toEqual(['redundant-index of p']);
    const filled = entry('f', 't (a) with (fillfactor = 70)');
    expect(await rulesFound([entry('p', 't (a)'), filled])).toEqual(['redundant-index of f']);
  });

  test('and the message names the other one and how to accept it', async () => {
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
    ['whose columns another one has later on', 't (b)', 't (a, b)'],
    ['whose columns another one has in another order', 't (a, b)', 't (b, a, c)'],
    ['of one direction of two', 't (a desc, b)', 't (a, b, c)'],
    ['whose nulls are elsewhere', 't (a nulls first)', 't (a, b)'],
    ['with another predicate', 't (a) where b = 1', 't (a, c) where b = 2'],
    ['with a predicate', 't (a) where b = 1', 't (a, c)'],
    ['beside one with a predicate', 't (a)', 't (a, c) where b = 1'],
    ['with another operator class', 't (a text_pattern_ops)', 't (a, b)'],
    ['with another collation', 't (a collate "C")', 't (a, b)'],
    ['of another method', 't using hash (a)', 't (a, b)'],
    ['of a method without a beginning', 't using gin (a)', 't using gin (a, b)'],
    ['with a column that the other one lacks', 't (a) include (b)', 't (a, c)'],
    ['of another expression', 't (lower(a))', 't (upper(a), b)'],
    ['of a column by the name of an expression', 't (a)', 't ((a || b), c)'],
    ['of a quoted column of another case', 't ("A")', 't (a, b)'],
  ])('%s', async (_case, shorter, longer) => {
    expect(await rulesFound([entry('short', shorter), entry('long', longer)])).toEqual([]);
  });

  test('that is unique', async () => {
    expect(await rulesFound([entry('u', 't (a)', undefined, 'unique'), entry('l', 't (a, b)')])).toEqual([]);
  });
});

describe('an index is there twice', () => {
  test.each([
    ['written otherwise', 't (a, b desc)', 'PUBLIC."t" using btree (A asc, b DESC nulls first) /* x */'],
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

  test('but not where one of them is unique or on another table', async () => {
    const unique = entry('two', 't (a) where b', undefined, 'unique');
    expect(await rulesFound([entry('one', 't (a)'), unique, entry('three', 'u (a)')])).toEqual([]);
  });
});
