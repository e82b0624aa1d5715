import { describe, expect, test } from 'vitest';
import type { RegistrySchema } from '../../lib/lint/registry/schema.ts';
import { entry, lintEntries, rulesFound } from './registry-support.ts';

const BY_TENANT = entry('idx_t_tenant', 't (tenant_id)');

function tables(columns: Record<string, string[]>): RegistrySchema {
  return {
    tables: Object.entries(columns).map(([table, names]) => ({
      schema: 'public',
      table,
      columns: names,
      foreignKeys: [],
      constraintIndexes: [],
    })),
  };
}

describe('an index of several columns that begins with another column than the tenant is told', () => {
  test('where another index of the table has the tenant column', async () => {
    const [finding, ...others] = await lintEntries([entry('idx_a', 't (a, b)'), BY_TENANT]);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ rule: 'tenant-column-first', severity: 'warning', line: 2 });
    expect(finding?.message).toContain('entry 1 "idx_a": t is a table of tenants');
    expect(finding?.message).toContain("accept: { 'tenant-column-first': 'reason' }");
  });

  test.each([
    ['at its end', 't (a, tenant_id)', ''],
    ['among what it includes', 't (a, b) include (tenant_id)', ''],
    ['and is unique', 't (a, tenant_id)', 'unique'],
    ['behind an expression', 't (lower(a), tenant_id)', ''],
  ])('where it has that column itself %s', async (_case, on, unique) => {
    expect(await rulesFound([entry('a', on, undefined, unique)])).toEqual(['tenant-column-first of a']);
  });

  test('where the schema says so', async () => {
    const schema = tables({ t: ['id', 'tenant_id'], u: ['id'] });
    const entries = [entry('a', 't (a, b)'), entry('b', 'u (a, b)'), entry('c', 'unknown (a, tenant_id)')];
    expect(await rulesFound(entries, { schema })).toEqual([
      'tenant-column-first of a',
      'tenant-column-first of c',
    ]);
  });

  test('with the column that the options name', async () => {
    const entries = [entry('a', 't (tenant_id, org)'), entry('b', 't (org, tenant_id)')];
    expect(await rulesFound(entries, { tenantColumn: 'org' })).toEqual(['tenant-column-first of a']);
    expect(await rulesFound(entries, { tenantColumn: null })).toEqual([]);
  });
});

test.each([
  ['it begins with the tenant column', 't (tenant_id, a)'],
  ['it has one column', 't (a)'],
  ['its columns have no order', 't using gin (a, b)'],
  ['its table is in another schema', 'crm.t (a, b)'],
])('an index is not told where %s', async (_case, on) => {
  expect(await rulesFound([BY_TENANT, entry('idx_a', on)])).not.toContain('tenant-column-first of idx_a');
});

describe('what an entry accepts', () => {
  const accept = { 'tenant-column-first': 'a ticket has one tenant' };

  test('is not told', async () => {
    expect(await rulesFound([entry('a', 't (a, tenant_id)', accept)])).toEqual([]);
  });

  test('is told where there is nothing to accept, at its place', async () => {
    const [finding, ...others] = await lintEntries([entry('a', 't (tenant_id, a)', accept)]);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ rule: 'unused-accept', severity: 'warning', line: 2 });
    expect(finding?.column).toBe(
      JSON.stringify(entry('a', 't (tenant_id, a)', accept)).indexOf('"tenant-column') + 1,
    );
    expect(finding?.message).toBe(
      'entry 1 "a": it accepts tenant-column-first, and there is nothing to accept; remove that',
    );
  });

  test('is not told where nobody knows whether the table is one of tenants, or the rule is off', async () => {
    const entries = [entry('a', 't (a, b)', accept)];
    expect(await rulesFound(entries)).toEqual([]);
    expect(await rulesFound([entry('a', 't (a)', accept)], { tenantColumn: null })).toEqual([]);
    expect(await rulesFound(entries, { schema: tables({ t: ['a', 'b'] }) })).toEqual(['unused-accept of a']);
  });

  test('can be no error, no rule that there is none of, and not without a reason', async () => {
    for (const [rule, reason] of [
      ['statement', 'x'],
      ['tenant', 'x'],
      ['redundant-index', ''],
    ] as const) {
      expect(await rulesFound([entry('a', 't (a)', { [rule]: reason })])).toEqual(['entry-form of a']);
    }
  });
});
