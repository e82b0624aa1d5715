import { describe, expect, test } from 'vitest';
import { entry, lintEntries, rulesFound, schemaOf } from './registry-support.ts';

const BY_TENANT = entry('idx_t_tenant', 't (tenant_id)');

const tables = (columns: Record<string, string[]>) =>
  schemaOf(
    Object.entries(columns)
      .map(([table, names]) => `create table ${table} (${names.map((name) => `${name} int`).join(', ')});`)
      .join('\n'),
  );

describe('an index of several columns that does not start with the tenant column is reported', () => {
  test('if another index on the table has the tenant column', async () => {
    const [finding, ...others] = await lintEntries([entry('idx_a', 't (a, b)'), BY_TENANT]);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ rule: 'tenant-column-first', severity: 'warning', line: 2 });
    expect(finding?.message).toContain('entry 1 "idx_a": t is a tenant table');
    expect(finding?.message).toContain("accept: { 'tenant-column-first': 'reason' }");
  });

  test.each([
    ['as its last column', 't (a, tenant_id)', ''],
    ['in INCLUDE', 't (a, b) include (tenant_id)', ''],
    ['and is unique', 't (a, tenant_id)', 'unique'],
    ['after an expression', 't (lower(a), tenant_id)', ''],
  ])('if it has that column itself %s', async (_case, on, unique) => {
    expect(await rulesFound([entry('a', on, undefined, unique)])).toEqual(['tenant-column-first of a']);
  });

  test('if the schema says so', async () => {
    const schema = tables({ t: ['id', 'tenant_id'], u: ['id'] });
    const entries = [entry('a', 't (a, b)'), entry('b', 'u (a, b)'), entry('c', 'unknown (a, tenant_id)')];
    expect(await rulesFound(entries, { schema })).toEqual([
      'tenant-column-first of a',
      'tenant-column-first of c',
    ]);
  });

  test('for the column that the options name', async () => {
    const entries = [entry('a', 't (tenant_id, org)'), entry('b', 't (org, tenant_id)')];
    expect(await rulesFound(entries, { tenantColumn: 'org' })).toEqual(['tenant-column-first of a']);
    expect(await rulesFound(entries, { tenantColumn: null })).toEqual([]);
  });
});

test.each([
  ['it starts with the tenant column', 't (tenant_id, a)'],
  ['it has one column', 't (a)'],
  ['its columns have no order', 't using gin (a, b)'],
  ['its table is in another schema', 'crm.t (a, b)'],
])('an index is not reported if %s', async (_case, on) => {
  expect(await rulesFound([BY_TENANT, entry('idx_a', on)])).not.toContain('tenant-column-first of idx_a');
});

describe('a rule that an entry accepts', () => {
  const accept = { 'tenant-column-first': 'a ticket has one tenant' };

  test('is not reported', async () => {
    expect(await rulesFound([entry('a', 't (a, tenant_id)', accept)])).toEqual([]);
  });

  test('is reported at its place if the entry does not break it', async () => {
    const [finding, ...others] = await lintEntries([entry('a', 't (tenant_id, a)', accept)]);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ rule: 'unused-accept', severity: 'warning', line: 2 });
    expect(finding?.column).toBe(
      JSON.stringify(entry('a', 't (tenant_id, a)', accept)).indexOf('"tenant-column') + 1,
    );
    expect(finding?.message).toBe(
      'entry 1 "a": it accepts tenant-column-first, but does not break that rule; remove tenant-column-first from accept',
    );
  });

  test('is not reported if the schema of the table is unknown or the rule is off', async () => {
    const entries = [entry('a', 't (a, b)', accept)];
    expect(await rulesFound(entries)).toEqual([]);
    expect(await rulesFound([entry('a', 't (a)', accept)], { tenantColumn: null })).toEqual([]);
    expect(await rulesFound(entries, { schema: tables({ t: ['a', 'b'] }) })).toEqual(['unused-accept of a']);
  });

  test('must be a warning that exists, with a reason', async () => {
    for (const [rule, reason] of [
      ['statement', 'x'],
      ['tenant', 'x'],
      ['redundant-index', ''],
    ] as const) {
      expect(await rulesFound([entry('a', 't (a)', { [rule]: reason })])).toEqual(['entry-form of a']);
    }
  });
});
