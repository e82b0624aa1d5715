import { describe, expect, test } from 'vitest';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { entry, lintEntries, schemaOf } from './registry-support.ts';

const PLACE = { file: 'migrations/001.sql', line: 3, column: 7 };

/** A table with a primary key, a unique constraint on (u, v) and foreign keys with these columns. */
function schemaWith(...foreignKeys: string[][]) {
  const table =
    'create table crm.calls (id int primary key, lead_id int, tenant_id int, u int, v int, unique (u, v));';
  const keys = foreignKeys.map((columns) => {
    const list = columns.map((column) => `"${column}"`).join(', ');
    return `\nalter table crm.calls\n  add foreign key (${list}) references leads;`;
  });
  return schemaOf(table + keys.join(''), PLACE.file);
}

async function isReported(
  columns: string[],
  on: string | undefined,
  tenantColumn?: string | null,
): Promise<boolean> {
  const entries = on === undefined ? [] : [entry('idx', `crm.calls ${on}`)];
  const findings = await lintEntries(entries, { schema: schemaWith(columns), tenantColumn });
  return findings.some(({ rule }) => rule === 'foreign-key-without-index');
}

describe('a foreign key without an index', () => {
  test('is reported at its constraint, with a valid entry', async () => {
    const [finding] = await lintEntries([], { schema: schemaWith(['lead_id', 'Tenant']) });
    expect(finding).toMatchObject({ rule: 'foreign-key-without-index', severity: 'warning', ...PLACE });
    expect(finding?.message).toBe(
      'Foreign key (lead_id, "Tenant") of crm.calls has no index. PostgreSQL indexes only the referenced columns, so ' +
        'joins and every delete from leads read the whole table. Add this entry to the registry.',
    );
    // The registry is a JSON file.
    expect(JSON.parse(finding?.entry ?? '')).toEqual({
      name: 'idx_calls_lead_id_Tenant',
      sql: 'create index concurrently if not exists "idx_calls_lead_id_Tenant" on crm.calls (lead_id, "Tenant")',
      description: 'crm.calls by lead_id, Tenant, which references leads',
    });
    const entries = [JSON.parse(finding?.entry ?? '')];
    await expect(compileRegistry(entries, 'x')).resolves.toHaveLength(1);
    expect(
      await lintEntries(entries, { schema: schemaWith(['lead_id', 'Tenant']), tenantColumn: null }),
    ).toEqual([]);
  });

  test('is reported once for each list of columns, with a free name of at most 63 bytes', async () => {
    const long = 'é'.repeat(30);
    const schema = schemaWith(['lead_id'], ['lead_id'], [long]);
    const findings = await lintEntries([entry('idx_calls_lead_id', 'other (a)')], { schema });
    expect(findings.map((finding) => JSON.parse(finding.entry ?? '').name)).toEqual([
      'idx_calls_lead_id_2',
      `idx_calls_${'é'.repeat(26)}`,
    ]);
  });

  test.each([
    ['no index', undefined],
    ['an index that has them in a later position', '(v, lead_id)'],
    ['an index with a predicate', '(lead_id) where v = 1'],
    ['an index whose predicate excludes rows of the key', '(lead_id) where v is not null'],
    ['an index with another method', 'using hash (lead_id)'],
    ['an index on an expression', '((lead_id + 0))'],
  ])('is reported where the table has %s', async (_case, on) => {
    expect(await isReported(['lead_id'], on)).toBe(true);
  });
});

test.each([
  ['an index on its columns', ['lead_id'], '(lead_id)'],
  ['an index that starts with them in any order', ['lead_id', 'v'], '(v, lead_id desc, u)'],
  ['an index on the rows that have a value', ['lead_id'], '(lead_id, v) where lead_id is not null'],
  ['an index with them after the tenant column', ['lead_id'], '(tenant_id, lead_id)'],
  ['a primary key', ['id'], undefined],
  ['a unique constraint that starts with them', ['u'], undefined],
])('a foreign key is not reported where the table has %s', async (_case, columns, on) => {
  expect(await isReported(columns, on)).toBe(false);
});

test('an index that starts with the tenant column does not count if the rule for that column is off', async () => {
  expect(await isReported(['lead_id'], '(tenant_id, lead_id)', null)).toBe(true);
});
