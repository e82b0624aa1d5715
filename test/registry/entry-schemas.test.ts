import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { defineIndexes, type IndexEntry } from '../../lib/registry/define-indexes.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { RegistryError } from '../../lib/registry/registry-error.ts';
import { writeRegistry } from '../../lib/registry/write-registry.ts';

const folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-test-'));

afterAll(() => rmSync(folder, { recursive: true, force: true }));

const entry = (name: string, table: string, more: Partial<IndexEntry> = {}): IndexEntry => ({
  name,
  sql: `create index concurrently if not exists ${name} on ${table} (status)`,
  description: 'of a test',
  ...more,
});

const orders = entry('idx_orders_status', 'orders');
const shared = entry('idx_plans_status', 'billing.plans');

async function schemasOf(value: unknown): Promise<Record<string, readonly string[] | undefined>> {
  const registry = await compileRegistry(value, 'indexes.ts');
  return Object.fromEntries(registry.map(({ name, schemas }) => [name, schemas]));
}

/** The problems of a registry, each as FIELD: MESSAGE. */
async function problemsOf(value: unknown): Promise<string[]> {
  try {
    await compileRegistry(value, 'indexes.ts');
    return [];
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return error.problems.map(({ field, message }) => `${field}: ${message}`);
  }
}

function written(name: string, text: string): string {
  const file = join(folder, name);
  writeFileSync(file, text);
  return file;
}

describe('schemas of a registry', () => {
  test('an entry has its own', async () => {
    expect(await schemasOf([entry('a', 't', { schemas: ['tenant_*', '!tenant_0'] }), orders])).toEqual({
      a: ['tenant_*', '!tenant_0'],
      idx_orders_status: undefined,
    });
  });

  test('those of the registry are for every entry that names no schema and has none of its own', async () => {
    const registry = defineIndexes(
      [orders, shared, entry('a', 't', { schemas: ['crm'] }), entry('b', 't', { schemas: [] })],
      { schemas: ['tenant_*'] },
    );

    expect(await schemasOf(registry)).toEqual({
      idx_orders_status: ['tenant_*'],
      idx_plans_status: undefined,
      a: ['crm'],
      b: undefined,
    });
  });

  test.each<[string, string]>([
    [
      'with.ts',
      `import { defineIndexes } from 'pg-deploy-step/define-indexes';
       export default defineIndexes([${JSON.stringify(orders)}], { schemas: ['tenant_*'] });`,
    ],
    ['object.ts', `export default { schemas: ['tenant_*'], indexes: [${JSON.stringify(orders)}] };`],
    ['with.json', JSON.stringify({ schemas: ['tenant_*'], indexes: [orders] })],
  ])('are read from %s without running its code, and an entry can be added to it', async (name, text) => {
    const file = written(name, text);

    const registry = await loadRegistry(file, { runCode: false });
    expect(registry).toMatchObject([{ name: 'idx_orders_status', schemas: ['tenant_*'] }]);
    await writeRegistry(file, [entry('idx_added', 'orders')], { runCode: false });
    expect(await loadRegistry(file, { runCode: false })).toMatchObject([
      { name: 'idx_orders_status', schemas: ['tenant_*'] },
      { name: 'idx_added', schemas: ['tenant_*'] },
    ]);
  });

  test('are read from a module whose code runs', async () => {
    const module = join(import.meta.dirname, '../../lib/registry/define-indexes.ts');
    const file = written(
      'runs.ts',
      `import { defineIndexes } from '${module}';
       export default defineIndexes([${JSON.stringify(orders)}], { schemas: ['t', 'u'].map((one) => one + '_*') });`,
    );

    expect(await loadRegistry(file)).toMatchObject([{ schemas: ['t_*', 'u_*'] }]);
  });
});

describe('a registry is refused', () => {
  test.each<[string, unknown, string]>([
    ['if schemas is no list', [{ ...orders, schemas: 'tenant_*' }], 'schemas: it must be a list of schemas'],
    [
      'if a pattern is no text',
      [{ ...orders, schemas: ['a', 1] }],
      'schemas.1: it must be a list of schemas',
    ],
    [
      'if a pattern is a system schema',
      [{ ...orders, schemas: ['a', 'pg_catalog'] }],
      'schemas.1: no index is built',
    ],
    ['if the patterns only exclude', [{ ...orders, schemas: ['!a'] }], 'schemas: it only excludes schemas'],
    [
      'if the statement names a schema too',
      [{ ...shared, schemas: ['tenant_*'] }],
      'schemas: the statement names the schema "billing": remove either',
    ],
    [
      'if another entry has the index of one of the schemas',
      [{ ...orders, schemas: ['tenant_*'] }, entry('idx_orders_status', 'tenant_1.orders')],
      'name: entry 1 "idx_orders_status" has this name in schema "tenant_1" too',
    ],
    [
      'if another entry has the index of one of the schemas, and comes first',
      [entry('idx_orders_status', 'tenant_1.orders'), { ...orders, schemas: ['tenant_*'] }],
      'name: entry 2 "idx_orders_status" has this name in schema "tenant_1" too',
    ],
    [
      'if the schemas of all are wrong',
      { schemas: ['a', ''], indexes: [orders] },
      'schemas.1: it must be the name',
    ],
    [
      'if the schemas of all are no list',
      { schemas: 'a', indexes: [orders] },
      'schemas: it must be a list of schemas',
    ],
    [
      'if it has another field',
      { schemas: ['a'], schema: 'b', indexes: [orders] },
      'schema: unknown field; valid fields: schemas, indexes',
    ],
    ['if it has no list', { schemas: ['a'] }, 'it must contain a list of entries'],
  ])('%s', async (_what, value, problem) => {
    const [first] = await problemsOf(value);

    expect(first).toContain(problem);
  });

  test('with the place of the wrong pattern', async () => {
    const json = written(
      'wrong.json',
      `[\n{ "name": "a",\n"schemas": ["x",\n"pg_toast"],\n"sql": "create index concurrently if not exists a on t (b)", "description": "x" }\n]`,
    );
    const list = written('wrong-list.json', `{\n"schemas": ["pg_toast"],\n"indexes": []\n}`);

    await expect(loadRegistry(json)).rejects.toThrow(/wrong\.json:3:1/);
    await expect(loadRegistry(list)).rejects.toThrow(/wrong-list\.json:2:1/);
  });
});
