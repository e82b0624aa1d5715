import { mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { lintMigrations } from '../../lib/lint/lint-migrations.ts';
import { MigrationLinter } from '../../lib/lint/migrations/migration-linter.ts';
import { moveIntoRegistry, withoutMoved } from '../../lib/lint/move-into-registry.ts';
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

/** Runs the steps of `lint --fix` on migrations, given as [name, text], and a registry. */
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
  const { moved, kept } = await moveIntoRegistry(
    moves,
    { file: inFolder(registry) },
    registered,
    whyNotMovable,
  );
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

test('a comment with the path of the registry replaces each statement, and the rest of the text is unchanged', () => {
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
])('%s after it on the line keeps its meaning', (_what, text, expected) => {
  expect(fixed(text)).toBe(expected);
});

test('a moved index is not reported again, and neither is its comment', () => {
  const text = 'create index i on t (a);\nselect 1;';
  const { findings, allowances } = new MigrationLinter(new RegisteredIndexes([])).lint({
    file: 'a.sql',
    text: fixed(text),
    hasLines: true,
  });
  expect([findings, allowances]).toEqual([[], []]);
});

test('the entries are added at the end of the registry, which compiles', async () => {
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

test('a registry that does not exist is created', async () => {
  await fix([['0001.sql', 'create index i on t (a);']], 'indexes.json');
  expect(await loadRegistry(inFolder('indexes.json'))).toMatchObject([{ name: 'i' }]);
});

test('an index that the registry lists is only removed; one that it lists with another definition stays', async () => {
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

test('an index that two migrations create with the same definition is one entry', async () => {
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

test('an index that a later migration names, drops or renames is not moved, with the reason', async () => {
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
          'create index of_dropped_table on w (a);',
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
    expect.stringMatching(/^of_column: its table or one of its columns is renamed later/),
    expect.stringMatching(/^of_table: its table or one of its columns is renamed later/),
    expect.stringMatching(/^of_dropped_table: .*0002\.sql, line 6 drops it with DROP TABLE w/),
  ]);
});

test('--fix changes nothing but the statements: every other byte stays, in every encoding of line ends', async () => {
  const registry = (name: string) =>
    `-- pg-deploy-step: moved ${name} into ${relative(process.cwd(), inFolder('indexes.json'))}`;
  const texts: [string, (statement: string) => string][] = [
    ['0001_crlf.sql', (of) => `\ufeffselect 'é';\r\n\t${of} \r\n\r\nselect 2;   \r\n`],
    ['0002_mixed.sql', (of) => `select 1;\n${of}\r\nselect 2;\rselect '😀';\n\n\n`],
    ['0003_mac.sql', (of) => `select 1;\r${of}\rselect 2;\r`],
    ['0004_end.sql', (of) => `-- naïve\n${of}`],
    ['0005_down.sql', (of) => `${of}\r\n-- Down Migration\r\ndrop index "i5";\r\n`],
  ];
  const { moved } = await fix(
    texts.map(([name, of], at) => [name, of(`create index "i${at + 1}" on "t" ("ä");`)]),
    'indexes.json',
    '[]',
  );

  expect(moved).toHaveLength(texts.length);
  for (const [at, [name, of]] of texts.entries()) expect(read(name)).toBe(of(registry(`i${at + 1}`)));
});

test('a statement before another one on a line of a CRLF file gets a CRLF', async () => {
  await fix([['0001.sql', 'create index i on t (a); select 1;\r\n']], 'indexes.json', '[]');
  expect(read('0001.sql')).toMatch(/^-- pg-deploy-step: moved i into [^\r\n]*\r\n select 1;\r\n$/);
});

test('a file that several paths and links show is changed once', async () => {
  const text = 'create index i on t (a);\nselect 1;\n';
  writeFileSync(inFolder('0001.sql'), text);
  symlinkSync('0001.sql', inFolder('0002.sql'));
  const registered = new RegisteredIndexes([]);
  const { moves, whyNotMovable } = await lintMigrations({
    ...{ paths: [folder, inFolder('0001.sql')], registered },
    startAfter: null,
    onProgress: () => {},
  });
  expect(moves).toHaveLength(3);
  await moveIntoRegistry(moves, { file: inFolder('indexes.json') }, registered, whyNotMovable);

  expect(read('0001.sql')).toMatch(/^-- pg-deploy-step: moved i into .*\nselect 1;\n$/);
  expect(readlinkSync(inFolder('0002.sql'))).toBe('0001.sql');
  expect(await loadRegistry(inFolder('indexes.json'))).toHaveLength(1);
});

test('a file that has changed since it was linted is not changed, and the entry is kept', async () => {
  writeFileSync(inFolder('0001.sql'), 'create index i on t (a);\n');
  const registered = new RegisteredIndexes([]);
  const { moves, whyNotMovable } = await lintMigrations({
    ...{ paths: [inFolder('0001.sql')], registered },
    startAfter: null,
    onProgress: () => {},
  });
  writeFileSync(inFolder('0001.sql'), 'select 1;\ncreate index i on t (a);\n');

  await expect(
    moveIntoRegistry(moves, { file: inFolder('indexes.json') }, registered, whyNotMovable),
  ).rejects.toThrow('0001.sql has changed since it was linted, so its statements stay there.');
  expect(read('0001.sql')).toBe('select 1;\ncreate index i on t (a);\n');
  expect(await loadRegistry(inFolder('indexes.json'))).toHaveLength(1);
});

test.each<[string, number[]]>([
  ['Latin-1', [0x2d, 0x2d, 0x20, 0xe9, 0x0a]],
  ['UTF-16', [0xff, 0xfe, 0x2d, 0x00]],
  ['NUL', [0x00]],
])(
  'a file in %s is refused by file and byte, and neither it nor the registry is rewritten',
  async (_encoding, bytes) => {
    const wrong = Buffer.concat([Buffer.from(bytes), Buffer.from('create index i on t (a);\n')]);
    const registry = Buffer.concat([Buffer.from('[]\n'), Buffer.from([0x20])]);
    writeFileSync(inFolder('0001.sql'), wrong);
    writeFileSync(inFolder('indexes.json'), registry);
    const registered = new RegisteredIndexes([]);
    const linted = await lintMigrations({
      ...{ paths: [inFolder('0001.sql')], registered },
      startAfter: null,
      onProgress: () => {},
    });
    await moveIntoRegistry(
      linted.moves,
      { file: inFolder('indexes.json') },
      registered,
      linted.whyNotMovable,
    );

    expect(linted.findings).toMatchObject([
      { rule: 'encoding', severity: 'error', file: inFolder('0001.sql') },
    ]);
    expect(linted.findings[0]?.message).toMatch(/0x(E9|FF|00)/);
    expect(readFileSync(inFolder('0001.sql')).equals(wrong)).toBe(true);
    expect(readFileSync(inFolder('indexes.json')).equals(registry)).toBe(true);
  },
);

test('a registry that is not UTF-8 is refused by file and byte, and keeps every byte', async () => {
  const text = Buffer.concat([
    Buffer.from('export default [];\n// caf'),
    Buffer.from([0xe9]),
    Buffer.from('\n'),
  ]);
  writeFileSync(inFolder('indexes.ts'), text);
  writeFileSync(inFolder('0001.sql'), 'create index i on t (a);\n');
  const registered = new RegisteredIndexes([]);
  const { moves, whyNotMovable } = await lintMigrations({
    ...{ paths: [inFolder('0001.sql')], registered },
    startAfter: null,
    onProgress: () => {},
  });

  await expect(
    moveIntoRegistry(moves, { file: inFolder('indexes.ts') }, registered, whyNotMovable),
  ).rejects.toThrow(/indexes\.ts:2:7: Byte 0xE9 at offset 25 is not valid UTF-8/);
  expect(readFileSync(inFolder('indexes.ts')).equals(text)).toBe(true);
  expect(read('0001.sql')).toBe('create index i on t (a);\n');
});
