import { describe, expect, test } from 'vitest';
import type { CompiledRegistry } from '../../lambdas/shared/registry.ts';
import { withoutAllowed } from '../../lib/lint/allow-comments.ts';
import { MigrationLinter } from '../../lib/lint/migrations/migration-linter.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';

function linterOf(registry: CompiledRegistry = []) {
  const linter = new MigrationLinter(new RegisteredIndexes(registry));
  return (text: string, file = 'migrations/0001_a.sql') => {
    const { findings, allowances, moves } = linter.lint({ file, text, hasLines: true });
    return { findings: withoutAllowed(findings, allowances), moves };
  };
}

/** `line:column rule` of each finding. */
function found(text: string, registry?: CompiledRegistry): string[] {
  return linterOf(registry)(text).findings.map(({ line, column, rule }) => `${line}:${column} ${rule}`);
}

function messageOf(text: string, registry?: CompiledRegistry): string {
  return linterOf(registry)(text).findings[0]?.message ?? '';
}

describe('CREATE INDEX in a migration', () => {
  test.each([
    ['bare', 'create index i on t (a);'],
    ['unique', 'CREATE UNIQUE INDEX i ON t (a);'],
    ['concurrent', 'create index concurrently if not exists i on s."T" using gin (a);'],
    ['on one partition', 'create index i on only t (a)'],
  ])('is reported: %s', (_form, sql) => {
    expect(found(`alter table t add b int;\n  ${sql}`)).toEqual(['2:3 create-index']);
  });

  test('comes with a complete entry, with the name that PostgreSQL chooses if the statement has none', () => {
    const [finding] = linterOf()(
      '-- Customers of a project\nCREATE INDEX ON customers (project_id, status);',
    ).findings;

    expect(finding?.entry).toBe(
      [
        '{',
        "  name: 'customers_project_id_status_idx',",
        '  sql: `create index concurrently if not exists customers_project_id_status_idx',
        '      on customers (project_id, status)`,',
        "  description: 'Customers of a project',",
        '}',
      ].join('\n'),
    );
    expect(finding?.message).toContain('PostgreSQL names it customers_project_id_status_idx');
  });

  test('without a comment gets a description that asks for one', () => {
    const { entry } = linterOf()('create index i on t (a);').findings[0] ?? {};
    expect(entry).toContain("description: 'Moved from 0001_a.sql, line 1. Describe what uses this index.'");
  });

  test('gives each of two indexes without names the name that PostgreSQL chooses', () => {
    const { moves } = linterOf()('create index on t (a); create index on t (a desc);');
    expect(moves.map(({ entry }) => entry.name)).toEqual(['t_a_idx', 't_a_idx1']);
  });

  test('with a placeholder has no entry and is not moved', () => {
    const environment = ['$', '{environment}'].join('');
    const { findings, moves } = linterOf()(`create index i_${environment} on t (a);`);
    expect(findings[0]?.message).toContain(`The value of ${environment} is unknown here`);
    expect(findings[0]?.entry).toBeUndefined();
    expect(moves).toEqual([]);
  });

  test('is in the schema that the file sets', () => {
    const { entry } = linterOf()('set search_path = app; create index on t (a);').findings[0] ?? {};
    expect(entry).toContain('on app.t (a)');
  });

  test('on a table that the file creates is reported with another reason', () => {
    const text = 'create table t (a int);\ncreate index i on t (a);\ncreate index j on u (a);';
    expect(found(text)).toEqual(['2:1 create-index-on-new-table', '3:1 create-index']);
    expect(messageOf(text)).toContain('This file creates the table');
  });

  test('on a new materialized view and on a table of a new schema is reported as on a new table', () => {
    expect(found('create materialized view v as select 1 as a; create unique index on v (a);')).toEqual([
      '1:46 create-index-on-new-table',
    ]);
    expect(found('create schema s create table t (a int) create index on t (a);')).toEqual([
      '1:1 create-index-on-new-table',
    ]);
  });

  test('on a temporary table is ignored, because a registry cannot list it', () => {
    expect(
      found('create temp table t (a int); create index on t (a); create index on pg_temp.u (a);'),
    ).toEqual([]);
  });

  test('for an index in the registry is reported without an entry', async () => {
    const registry = await compileRegistry(
      [{ name: 'i', sql: 'create index concurrently if not exists i on t (a)', description: 'd' }],
      'the test',
    );
    const same = linterOf(registry)('CREATE INDEX i ON public.t USING btree (a ASC);').findings[0];
    const other = linterOf(registry)('create index i on t (b);').findings[0];

    expect(same?.message).toContain('The registry lists i already: remove this statement.');
    expect(other?.message).toContain('The registry lists i with another definition');
    expect([same?.entry, other?.entry]).toEqual([undefined, undefined]);
  });
});

describe('the index of a constraint', () => {
  test.each([
    'create table t (a int primary key, b int unique, exclude using gist (c with &&));',
    'create table t (a int, b int); alter table t add constraint t_key unique (a, b), add primary key (a);',
    'alter table t add constraint t_key unique using index i;',
  ])('is allowed: %s', (sql) => {
    expect(found(sql)).toEqual([]);
  });
});

describe('DROP INDEX and REINDEX', () => {
  test.each([
    ['drop index i;', ['1:1 drop-index']],
    ['drop index if exists s.i, j cascade;', ['1:1 drop-index']],
    ['reindex index i;', ['1:1 reindex']],
    ['reindex (verbose) table t;', ['1:1 reindex']],
    ['drop index concurrently i;', []],
    ['reindex (concurrently) table t;', []],
    ['reindex table concurrently t;', []],
    ['drop table t;', []],
  ])('%s', (sql, expected) => {
    expect(found(sql)).toEqual(expected);
  });

  test('of an index in the registry reports that the next deploy builds it again', async () => {
    const registry = await compileRegistry(
      [{ name: 'i', sql: 'create index concurrently if not exists i on t (a)', description: 'd' }],
      'the test',
    );
    expect(messageOf('drop index public.i;', registry)).toContain(
      'The registry lists public.i: remove the entry too, or the next deploy builds it again.',
    );
    expect(messageOf('drop index j;', registry)).not.toContain('The registry');
  });
});

describe('code that a migration runs', () => {
  test('in a DO block is checked, with its own line and column', () => {
    const text = [
      'do $$',
      'declare r some_type%rowtype;',
      'begin',
      '  if true then create unique index i on t (a) where b is null; end if;',
      "  execute 'drop index j';",
      "  for r in select 1 loop execute format('create index %I on t (a)', r.name); end loop;",
      "  raise notice 'create index k on t (a)';",
      '  drop index concurrently l;',
      'end $$;',
    ].join('\n');
    const { findings, moves } = linterOf()(text);

    expect(findings.map(({ line, column, rule }) => [line, column, rule])).toEqual([
      [4, 16, 'create-index'],
      [5, 11, 'drop-index'],
      [6, 41, 'create-index'],
    ]);
    expect(findings[0]?.entry).toContain("name: 'i'");
    expect(findings[0]?.message).not.toContain('--fix');
    expect(findings[2]?.message).toContain('assembles at run time');
    expect(moves).toEqual([]);
  });

  test('in a DO block between single quotes has its own place too', () => {
    const text =
      "do language plpgsql 'begin\n  perform ''a''; create index i on t (a) where b = ''c'';\nend';";
    const [finding] = linterOf()(text).findings;
    expect(finding).toMatchObject({ line: 2, column: 18, rule: 'create-index' });
    expect(finding?.entry).toContain("where b = 'c'");
  });

  test('in a string that EXECUTE runs from a variable is reported at the place of the string', () => {
    const text = [
      'do $$',
      "declare r record; statement text := 'create index i on t (a)';",
      'begin',
      "  raise notice 'create index j on t (a)';",
      '  execute statement;',
      "  for r in execute 'select 1' loop create index k on t (a); end loop;",
      'end $$;',
    ].join('\n');
    expect(found(text)).toEqual(['2:37 create-index', '6:36 create-index']);
  });

  test('in a function is reported at its call, also in a later file and through another function', () => {
    const lint = linterOf();
    const define =
      'create function make() returns void language plpgsql as $$ begin create index i on t (a); end $$;\n' +
      'create function outer_one() returns void language plpgsql as $$ begin perform make(); end $$;';

    expect(lint(define).findings).toEqual([]);
    expect(lint('create trigger g after insert on t execute function make();', 'b.sql').findings).toEqual([]);
    expect(lint('select 1;\nselect make();', 'c.sql').findings).toMatchObject([
      { file: 'c.sql', line: 2, rule: 'create-index', entry: expect.stringContaining("name: 'i'") },
    ]);
    expect(lint('do $$ begin perform outer_one(); end $$', 'd.sql').findings[0]?.message).toContain(
      'The statement runs make() (0001_a.sql, line 1).',
    );
  });

  test('in SQL is checked like PL/pgSQL', () => {
    const text =
      "create procedure p() language sql as 'create index i on t (a)';\ncall p();\ngrant execute on procedure p() to r;";
    expect(found(text)).toEqual(['2:1 create-index']);
  });
});

describe('a comment that allows', () => {
  test.each([
    ['before the statement', '-- pg-deploy-step: allow drop-index no query uses it\ndrop index i;'],
    ['after it', 'drop index i; -- pg-deploy-step: allow drop-index no query uses it'],
    ['inside it, on the line', 'drop index -- pg-deploy-step: allow drop-index no query uses it\ni;'],
    ['as a block', '/* pg-deploy-step: allow drop-index no query uses it */ drop index i;'],
  ])('works %s', (_where, text) => {
    expect(found(text)).toEqual([]);
  });

  test('inside a statement applies to its own line and the next, not to the statement', () => {
    const text = 'drop index\n  -- pg-deploy-step: allow drop-index no query uses it\n  i;';
    expect(found(text)).toEqual(['1:1 drop-index', '2:3 allow-comment']);
  });

  test('applies to one rule and one statement only', () => {
    const text =
      '-- pg-deploy-step: allow drop-index gone\ndrop index i;\ncreate index j on t (a);\ndrop index k;';
    expect(found(text)).toEqual(['3:1 create-index', '4:1 drop-index']);
  });

  test('applies to the whole code of a DO block', () => {
    const text =
      '-- pg-deploy-step: allow create-index once, by hand\ndo $$ begin\n create index i on t (a);\nend $$;';
    expect(found(text)).toEqual([]);
  });

  test.each([
    [
      'no reason',
      '-- pg-deploy-step: allow drop-index\ndrop index i;',
      'The comment gives no reason',
      'error',
    ],
    [
      'an unknown rule',
      '-- pg-deploy-step: allow drop-indexes why\nselect 1;',
      'A comment cannot allow a rule "drop-indexes"',
      'error',
    ],
    ['no rule', '-- pg-deploy-step: ignore\nselect 1;', 'The comment names no rule', 'error'],
    [
      'nothing to allow',
      '-- pg-deploy-step: allow drop-index why\nselect 1;',
      'nothing here breaks that rule',
      'warning',
    ],
  ])('with %s is reported', (_what, text, message, severity) => {
    const finding = linterOf()(text).findings.find(({ rule }) => rule === 'allow-comment');
    expect(finding).toMatchObject({
      line: 1,
      column: 1,
      severity,
      message: expect.stringContaining(message),
    });
  });
});

test('a statement that cannot be parsed is a warning at its place, and the rest is linted', () => {
  const { findings } = linterOf()('select 1;\nselect from from;\ncreate index i on t (a);');
  expect(findings).toMatchObject([
    { rule: 'unreadable', severity: 'warning', line: 2, column: 13 },
    { rule: 'create-index', line: 3 },
  ]);
});

test('a command of psql that runs other SQL is a warning', () => {
  const { findings } = linterOf()(
    "select 1;\n\\i more.sql\nselect 'create index i on t (a)' \\gexec\n\\set x 1\n",
  );
  expect(findings).toMatchObject([
    {
      rule: 'unreadable',
      severity: 'warning',
      line: 2,
      column: 1,
      message: expect.stringContaining('another file'),
    },
    { rule: 'unreadable', severity: 'warning', line: 3, column: 34 },
  ]);
});

test('SQL that code generates is reported at the first line of its file, and cannot be moved', () => {
  const linter = new MigrationLinter(new RegisteredIndexes([]));
  const { findings, moves } = linter.lint({
    file: '1_a.js',
    text: '\n\n create index i on t (a);',
    hasLines: false,
  });
  expect(findings).toMatchObject([{ file: '1_a.js', line: 1, column: 1, rule: 'create-index' }]);
  expect(findings[0]?.message).not.toContain('--fix');
  expect(moves).toEqual([]);
});
