import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { moveIntoRegistry, withoutMoved } from '../../lib/lint/fix.ts';
import { lintMigrations } from '../../lib/lint/lint-migrations.ts';
import { MigrationLinter } from '../../lib/lint/migrations/migration-linter.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';

let folder: string;
const inFolder = (name: string) => join(folder, name);
const read = (name: string) => readFileSync(inFolder(name), 'utf8');

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-fix-'));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** What `lint --fix` does with migrations, given as [name, text], and a registry. */
async function fix(migrations: readonly [string, string][], registry: string, text?: string) {
  for (const [name, sql] of migrations) writeFileSync(inFolder(name), sql);
  if (text !== undefined) writeFileSync(inFolder(registry), text);
  const registered = new RegisteredIndexes(text === undefined ? [] : await loadRegistry(inFolder(registry)));
  const paths = migrations.map(([name]) => inFolder(name));
  const { moves, whyNotMovable } = await lintMigrations({
    ...{ paths, registered },
    startAfter: null,
    onProgress: () => {},
  });
  const { moved, kept } = await moveIntoRegistry(moves, inFolder(registry), registered, whyNotMovable);
  return {
    moved: moved.map(({ name, line }) => `${line} ${name}`),
    kept: kept.map(({ name, reason }) => `${name}: ${reason}`),
  };
}

function fixed(text: string): string {
  const { moves } = new MigrationLinter(new RegisteredIndexes([])).lint({
    file: 'a.sql',
    text,
    hasLines: true,
  });
  return withoutMoved(text, moves, 'database/indexes.ts');
}

test('the statements leave a comment that tells where they went, and all else stays as it is', () => {
  const text =
    '-- Up Migration\r\nalter table t add b int;\r\n\r\n  create index on t (b)\r\n    where b > 0;\r\nselect 1;\r\n-- Down Migration\r\ndrop index t_b_idx;\r\n';

  expect(fixed(text)).toBe(
    text.replace(
      'create index on t (b)\r\n    where b > 0;',
      '-- pg-deploy-step: moved t_b_idx into database/indexes.ts',
    ),
  );
});

test.each([
  [
    'a comment',
    'create index i on t (a); -- why',
    '-- pg-deploy-step: moved i into database/indexes.ts -- why',
  ],
  [
    "Drizzle's mark",
    'create index i on t (a);--> statement-breakpoint\nselect 1;',
    '-- pg-deploy-step: moved i into database/indexes.ts\n--> statement-breakpoint\nselect 1;',
  ],
  [
    'a statement',
    'create index i on t (a); select 1;',
    '-- pg-deploy-step: moved i into database/indexes.ts\n select 1;',
  ],
  [
    'nothing',
    'select 1; create index i on t (a)',
    'select 1; -- pg-deploy-step: moved i into database/indexes.ts',
  ],
])('%s behind it on the line keeps its meaning', (_what, text, expected) => {
  expect(fixed(text)).toBe(expected);
});

test('what was moved is not found again, nor is the comment that it left', () => {
  const text = 'create index i on t (a);\nselect 1;';
  const { findings, allowances } = new MigrationLinter(new RegisteredIndexes([])).lint({
    file: 'a.sql',
    text: fixed(text),
    hasLines: true,
  });
  expect([findings, allowances]).toEqual([[], []]);
});

test('the entries go to the end of the registry, which compiles', async () => {
  const { moved } = await fix(
    [
      ['0001.sql', '-- Deals by time\ncreate index on deals (tenant_id, created_at desc);\n'],
      ['0002.sql', 'select 1;\ncreate unique index "Key" on "Users" (lower("Email"));\n'],
    ],
    'indexes.json',
    '[]',
  );

  expect(moved).toEqual(['2 deals_tenant_id_created_at_idx', '2 Key']);
  expect(await loadRegistry(inFolder('indexes.json'))).toMatchObject([
    { name: 'deals_tenant_id_created_at_idx', table: 'deals', description: 'Deals by time', critical: false },
    { name: 'Key', table: 'Users', unique: true, critical: true },
  ]);
});

test('a registry that is not there is made', async () => {
  await fix([['0001.sql', 'create index i on t (a);']], 'indexes.json');
  expect(await loadRegistry(inFolder('indexes.json'))).toMatchObject([{ name: 'i' }]);
});

test('what the registry lists already is only taken out; what it lists otherwise stays', async () => {
  const registry = JSON.stringify([
    { name: 'same', sql: 'create index concurrently if not exists same on t (a)', description: 'd' },
    { name: 'other', sql: 'create index concurrently if not exists other on t (a)', description: 'd' },
  ]);
  const { moved } = await fix(
    [['0001.sql', 'create index same on public.t using btree (a);\ncreate index other on t (b);\n']],
    'indexes.json',
    registry,
  );

  expect(moved).toEqual(['1 same']);
  expect(read('indexes.json')).toBe(registry);
  expect(read('0001.sql')).toMatch(
    /^-- pg-deploy-step: moved same into .*\ncreate index other on t \(b\);\n$/,
  );
});

test('an index that two migrations create alike is one entry', async () => {
  const { moved } = await fix(
    [
      ['0001.sql', 'create index i on t (a);\n'],
      ['0002.sql', 'create index if not exists i on t (a);\n'],
    ],
    'indexes.json',
    '[]',
  );

  expect(moved).toEqual(['1 i', '1 i']);
  expect(await loadRegistry(inFolder('indexes.json'))).toHaveLength(1);
});

test('what a later migration names, drops or renames stays where it is, with the reason', async () => {
  const { moved, kept } = await fix(
    [
      [
        '0001.sql',
        [
          'create index dropped on t (a);',
          'create index renamed on t (b);',
          'create index backing on t (c);',
          'create index of_column on t (d);',
          'create index of_table on u (a);',
          'create index of_gone on w (a);',
          'create index free on v (a);',
        ].join('\n'),
      ],
      [
        '0002.sql',
        `drop index if exists dropped;
alter index renamed rename to other;
alter table t add constraint backing_key unique using index backing;
alter table t rename column d to e;
alter table u rename to x;
drop table w;`,
      ],
    ],
    'indexes.json',
    '[]',
  );

  expect(moved).toEqual(['7 free']);
  expect(kept).toEqual([
    expect.stringMatching(/^dropped: .*0002\.sql, line 1 drops it/),
    expect.stringMatching(/^renamed: .*0002\.sql, line 2 names it/),
    expect.stringMatching(/^backing: .*0002\.sql, line 3 names it/),
    expect.stringMatching(/^of_column: its table or a column of it is renamed later/),
    expect.stringMatching(/^of_table: its table or a column of it is renamed later/),
    expect.stringMatching(/^of_gone: .*0002\.sql, line 6 takes it away with DROP TABLE w/),
  ]);
});
