import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { patternProblem, schemaMatcher } from '../../lambdas/shared/schema-patterns.ts';

const matching = (patterns: string[], schemas: string[]) => schemas.filter(schemaMatcher(patterns));

describe('schemas', () => {
  test('* stands for any text, ? for one character, and any other character for itself', () => {
    const schemas = ['tenant', 'tenant_', 'tenant_1', 'tenant_12', 'TENANT_1', 'my_tenant_1', 'tenant_é'];

    expect(matching(['tenant_*'], schemas)).toEqual(['tenant_', 'tenant_1', 'tenant_12', 'tenant_é']);
    expect(matching(['tenant_?'], schemas)).toEqual(['tenant_1', 'tenant_é']);
    expect(matching(['*_1'], schemas)).toEqual(['tenant_1', 'TENANT_1', 'my_tenant_1']);
    expect(matching(['tenant_1'], schemas)).toEqual(['tenant_1']);
    expect(matching(['a.c', '[ab]', '%', 'a$'], ['abc', 'a.c', 'a', '[ab]', 'x', 'a$'])).toEqual([
      'a.c',
      '[ab]',
      'a$',
    ]);
  });

  test('a pattern after ! excludes schemas, wherever it is in the list', () => {
    const schemas = ['tenant_1', 'tenant_2', 'tenant_template', 'crm'];

    expect(matching(['!tenant_template', 'tenant_*'], schemas)).toEqual(['tenant_1', 'tenant_2']);
    expect(matching(['*', '!tenant_*'], schemas)).toEqual(['crm']);
  });

  test('schemas of PostgreSQL and of the product never match', () => {
    const schemas = ['pg_catalog', 'pg_toast', 'pg_temp_3', 'information_schema', 'deploy_step', 'public'];

    expect(matching(['*', 'pg_catalog', 'deploy_step'], schemas)).toEqual(['public']);
  });

  test('a pattern with many stars takes no longer than a short one', () => {
    expect(matching(['*a'.repeat(30)], ['a'.repeat(63), `${'a'.repeat(62)}b`])).toEqual(['a'.repeat(63)]);
  });

  test('agrees with a regular expression', () => {
    const text = fc
      .array(fc.constantFrom('a', 'b', '*', '?', '_'), { maxLength: 8 })
      .map((all) => all.join(''));
    const name = fc.array(fc.constantFrom('a', 'b', '_'), { maxLength: 8 }).map((all) => all.join(''));
    fc.assert(
      fc.property(text, name, (pattern, schema) => {
        const expected = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        expect(schemaMatcher([pattern])(schema)).toBe(expected.test(schema));
      }),
    );
  });
});

describe('a list of schemas is refused', () => {
  test.each<[string, string[], number | undefined, string]>([
    ['with an empty pattern', ['tenant_*', ''], 1, 'it must be the name of a schema'],
    ['with an exclusion of nothing', ['tenant_*', '!'], 1, 'it must be the name of a schema'],
    ['with a schema of PostgreSQL', ['pg_catalog'], 0, 'no index is built in a schema of PostgreSQL'],
    ['with the schema of the ledger', ['deploy_step'], 0, 'or in deploy_step'],
    ['with a pattern twice', ['a*', 'a*'], 1, 'twice'],
    ['that only excludes', ['!tenant_1'], undefined, 'add a pattern that matches some'],
  ])('%s', (_what, patterns, at, message) => {
    expect(patternProblem(patterns)).toMatchObject({
      ...(at !== undefined && { at }),
      message: expect.stringContaining(message),
    });
  });

  test('but not an empty one, or one that excludes schemas of PostgreSQL', () => {
    expect(patternProblem([])).toBeNull();
    expect(patternProblem(['*', '!pg_*', '!deploy_step'])).toBeNull();
  });
});
