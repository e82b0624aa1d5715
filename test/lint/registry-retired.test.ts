import { expect, test } from 'vitest';
import { entry, lintEntries, rulesFound, schemaOf } from './registry-support.ts';

const RETIRED = { since: '2026-11-22', reason: 'the other one serves its queries' };

test('a retired index duplicates nothing, and needs no tenant column', async () => {
  const both = [entry('one', 'orders (status)'), entry('two', 'orders (status, id)')];
  expect(await rulesFound(both, { tenantColumn: null })).toEqual(['redundant-index of one']);

  const retired = both.map((one) => (one.name === 'one' ? { ...one, retired: RETIRED } : one));
  expect(await rulesFound(retired, { tenantColumn: null })).toEqual([]);
});

test('a retired index is no index for a foreign key', async () => {
  const schema = () =>
    schemaOf('create table orders (id int primary key, person int references people)', 'migrations/001.sql');
  const index = entry('orders_person', 'orders (person)');
  expect(await lintEntries([index], { schema: schema() })).toEqual([]);

  const findings = await lintEntries([{ ...index, retired: RETIRED }], { schema: schema() });
  expect(findings.map(({ rule }) => rule)).toEqual(['foreign-key-without-index']);
});
