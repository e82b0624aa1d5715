import { describe, expect, test } from 'vitest';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { entry, lintEntries } from './registry-support.ts';

const PLACE = { file: 'migrations/001.sql', line: 3, column: 7 };

/** A table with a primary key, a unique constraint on (u, v) and foreign keys of these columns. */
function schemaWith(...foreignKeys: string[][]) {
  const references = { schema: 'public', table: 'leads' };
  return {
    tables: [
      {
        schema: 'crm',
        table: 'calls',
        columns: ['id', 'lead_id', 'tenant_id', 'u', 'v'],
        foreignKeys: foreignKeys.map((columns) => ({ ...PLACE, columns, references })),
        constraintIndexes: [['id'], ['u', 'v']],
      },
    ],
  };
}

async function isTold(
  columns: string[],
  on: string | undefined,
  tenantColumn?: string | null,
): Promise<boolean> {
  const entries = on === undefined ? [] : [entry('idx', `crm.calls ${on}`)];
  const findings = await lintEntries(entries, { schema: schemaWith(columns), tenantColumn });
  return findings.some(({ rule }) => rule === 'foreign-key-without-index');
}

describe('a foreign key without an index', () => {
  test('is told at its constraint, with an entry that can be used', async () => {
    const [finding] = await lintEntries([], { schema: schemaWith(['lead_id', 'Tenant']) });
    expect(finding).toMatchObject({ rule: 'foreign-key-without-index', severity: 'warning', ...PLACE });
    expect(finding?.message).toBe(
      'foreign key (lead_id, "Tenant") of crm.calls has no index: PostgreSQL indexes only what it refers to, so that ' +
        'joins and each delete from leads read the whole table; add the entry',
    );
    expect(finding?.entry).toBe(`{
  name: 'idx_calls_lead_id_Tenant',
  sql: 'create index concurrently if not exists "idx_calls_lead_id_Tenant" on crm.calls (lead_id, "Tenant")',
  description: 'crm.calls by lead_id, Tenant, which refers to leads',
}`);
    const entries = [new Function(`return ${finding?.entry}`)()];
    await expect(compileRegistry(entries, 'x')).resolves.toHaveLength(1);
    expect(
      await lintEntries(entries, { schema: schemaWith(['lead_id', 'Tenant']), tenantColumn: null }),
    ).toEqual([]);
  });

  test('is told once for each list of columns, under a name that is free and short enough', async () => {
    const long = 'é'.repeat(30);
    const schema = schemaWith(['lead_id'], ['lead_id'], [long]);
    const findings = await lintEntries([entry('idx_calls_lead_id', 'other (a)')], { schema });
    expect(findings.map((finding) => /name: '(.*)'/.exec(finding.entry ?? '')?.[1])).toEqual([
      'idx_calls_lead_id_2',
      `idx_calls_${'é'.repeat(26)}`,
    ]);
  });

  test.each([
    ['no index', undefined],
    ['an index that has them later on', '(v, lead_id)'],
    ['an index with a predicate', '(lead_id) where v = 1'],
    ['an index whose predicate leaves out rows of the key', '(lead_id) where v is not null'],
    ['an index with another method', 'using hash (lead_id)'],
    ['an index of an expression', '((lead_id + 0))'],
  ])('is told where there is %s', async (_case, on) => {
    expect(await isTold(['lead_id'], on)).toBe(true);
  });
});

test.each([
  ['an index of its columns', ['lead_id'], '(lead_id)'],
  ['an index that begins with them in any order', ['lead_id', 'v'], '(v, lead_id desc, u)'],
  ['an index of the rows that have a value', ['lead_id'], '(lead_id, v) where lead_id is not null'],
  ['an index with them behind the tenant column', ['lead_id'], '(tenant_id, lead_id)'],
  ['a primary key', ['id'], undefined],
  ['a unique constraint that begins with them', ['u'], undefined],
])('a foreign key is not told where there is %s', async (_case, columns, on) => {
  expect(await isTold(columns, on)).toBe(false);
});

test('an index with the tenant column first does not count where the rule of that column is off', async () => {
  expect(await isTold(['lead_id'], '(tenant_id, lead_id)', null)).toBe(true);
});
