import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';

async function compiled(sql: string, name = 'idx_a') {
  const [index] = await compileRegistry([{ name, sql, description: 'For a test' }], 'indexes.ts');
  return index;
}

const START = 'create index concurrently if not exists idx_a on';

describe('the compiled form of a statement', () => {
  test('contains the table, the definition and the defaults of a plain index', async () => {
    expect(await compiled(`${START} deals using btree (tenant_id, created_at desc)`)).toEqual({
      name: 'idx_a',
      schema: null,
      table: 'deals',
      unique: false,
      definition: 'USING btree (tenant_id, created_at desc)',
      spelling: { text: 'USING "btree" ("tenant_id", "created_at" DESC)', complete: true },
      references: {
        ...{ method: 'btree', columns: ['tenant_id', 'created_at'] },
        ...{ functions: [], types: [], collations: [], operatorClasses: [] },
      },
      partial: false,
      expression: false,
      critical: false,
      description: 'For a test',
      serves: [],
      onDrift: 'report',
    });
  });

  test('keeps the fields critical, serves and onDrift, and the order of the entries', async () => {
    const entries = ['idx_b', 'idx_a'].map((name) => ({
      name,
      sql: `create index concurrently if not exists ${name} on t (a)`,
      description: 'For a test',
      critical: true,
      serves: ['dashboard'],
      onDrift: 'rebuild',
    }));
    const registry = await compileRegistry(entries, 'indexes.ts');
    expect(registry.map((index) => index.name)).toEqual(['idx_b', 'idx_a']);
    expect(registry[0]).toMatchObject({ critical: true, serves: ['dashboard'], onDrift: 'rebuild' });
  });

  test('omits the field accept, which is for the authors', async () => {
    const sql = `${START} t (a)`;
    const entry = { name: 'idx_a', sql, description: 'x', accept: { 'redundant-index': 'small' } };
    const [index] = await compileRegistry([entry], 'indexes.ts');
    expect(index).not.toHaveProperty('accept');
  });

  test('contains everything that the definition names, each once', async () => {
    const sql = `${START} t using gin (a crm.ops, lower(t.B), (c::app.word) collate "C") include ("D") where crm.f(e) and e > 1::int and t.* is not null`;
    expect((await compiled(sql))?.references).toEqual({
      method: 'gin',
      columns: ['a', 'D', 'b', 'c', 'e'],
      functions: [['lower'], ['crm', 'f']],
      types: [
        ['app', 'word'],
        ['pg_catalog', 'int4'],
      ],
      collations: [['C']],
      operatorClasses: [['crm', 'ops']],
    });
  });

  test('contains USING btree if the statement has no USING', async () => {
    expect(await compiled(`${START} t (a)`)).toMatchObject({ definition: 'USING btree (a)' });
  });

  test('marks unique, partial and expression indexes', async () => {
    const sql = 'create unique index concurrently if not exists idx_a on users (lower(email)) where active';
    expect(await compiled(sql)).toMatchObject({
      unique: true,
      partial: true,
      expression: true,
      definition: 'USING btree (lower(email)) where active',
    });
  });

  test('keeps INCLUDE, WITH, NULLS NOT DISTINCT and TABLESPACE in the definition', async () => {
    const rest = '(a) include (b, c) nulls not distinct with (fillfactor = 70) tablespace fast where a > 0';
    const sql = `create unique index concurrently if not exists idx_a on t using btree ${rest}`;
    expect(await compiled(sql)).toMatchObject({ definition: `USING btree ${rest}`, expression: false });
  });

  test('has schema and table as in PostgreSQL: in lower case, or unchanged if quoted', async () => {
    expect(await compiled(`${START} CRM.Deals (a)`)).toMatchObject({ schema: 'crm', table: 'deals' });
    expect(await compiled(`${START} "CRM"."My ""Deals""" (a)`)).toMatchObject({
      schema: 'CRM',
      table: 'My "Deals"',
    });
  });

  test('has the method of the statement, not the word USING in a comment or a quoted name', async () => {
    const sql = `${START} "using" -- using hash\n USING /* a ( b */ gin (tags)`;
    expect(await compiled(sql)).toMatchObject({ table: 'using', definition: 'USING gin (tags)' });
  });

  test('omits semicolons and comments, but not the same characters in a string', async () => {
    const sql = `${START} t (a /* first */, b) -- columns\n where note <> '; -- é' ; -- the end\n;`;
    expect(await compiled(sql)).toMatchObject({ definition: "USING btree (a , b) where note <> '; -- é'" });
  });

  test('can have a name of 63 bytes', async () => {
    for (const name of ['a'.repeat(63), `${'é'.repeat(31)}a`]) {
      const index = await compiled(`create index concurrently if not exists ${name} on t (a)`, name);
      expect(index?.name).toBe(name);
    }
  });

  test('contains any name that is quoted in the statement', async () => {
    const names = fc
      .string({ unit: 'grapheme', minLength: 1, maxLength: 20 })
      .filter((name) => Buffer.byteLength(name) <= 63 && name.isWellFormed() && name.trim() !== '');
    await fc.assert(
      fc.asyncProperty(names, names, async (name, table) => {
        const quote = (text: string) => `"${text.replaceAll('"', '""')}"`;
        const sql = `create index concurrently if not exists ${quote(name)} on ${quote(table)} (${quote(table)})`;
        expect(await compiled(sql, name)).toMatchObject({
          name,
          table,
          definition: `USING btree (${quote(table)})`,
        });
      }),
    );
  });

  test('has a definition that compiles to itself', async () => {
    const part = fc.constantFrom('a', '"B c"', 'lower(d)', "(e || ';')", 'f /* x */ desc', '-- y\ng', '"é"');
    await fc.assert(
      fc.asyncProperty(fc.array(part, { minLength: 1 }), fc.boolean(), async (columns, partial) => {
        const rest = `(${columns.join(', ')})${partial ? " where h = 'using'" : ''}`;
        const first = await compiled(`${START} t ${rest};`);
        const second = await compiled(`${START} t ${first?.definition}`);
        expect(second).toEqual(first);
      }),
    );
  });
});
