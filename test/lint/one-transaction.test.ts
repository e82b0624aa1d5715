import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withoutAllowed } from '../../lib/lint/allow-comments.ts';
import { lintMigrations } from '../../lib/lint/lint-migrations.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';
import type { Tool } from '../../lib/sources/sql-source.ts';

let folder: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-lint-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, content: string | Buffer): void {
  mkdirSync(dirname(join(folder, name)), { recursive: true });
  writeFileSync(join(folder, name), content);
}

interface Scope {
  path?: string;
  appliedFolder?: string;
  startAfter?: string;
  from?: Tool;
}

/** `file:line:column rule` of each finding. */
async function lint({ path = '.', appliedFolder, startAfter, from }: Scope = {}): Promise<string[]> {
  const { findings, allowances } = await lintMigrations({
    paths: [join(folder, path)],
    appliedFolder: appliedFolder === undefined ? null : join(folder, appliedFolder),
    startAfter: startAfter ?? null,
    from,
    registered: new RegisteredIndexes([]),
    onProgress: () => {},
  });
  return withoutAllowed(findings, allowances).map(
    ({ file, line, column, rule, severity }) =>
      `${relative(folder, file)}:${line}:${column} ${severity} ${rule}`,
  );
}

const WRAPPED = 'begin;\nselect 1;\ncommit;';
const BOTH = (file: string) => [
  `${file}:1:1 error transaction-control`,
  `${file}:3:1 error transaction-control`,
];

describe('transaction control is an error in files that the runner sql applies', () => {
  test('those of the configured folder, but not of its subfolders, which synth does not read', async () => {
    write('migrations/only.sql', WRAPPED);
    write('migrations/old/1_a.up.sql', WRAPPED);

    expect(await lint({ path: 'migrations', appliedFolder: 'migrations' })).toEqual([
      ...BOTH('migrations/only.sql'),
      'migrations/old:1:1 warning unreadable',
    ]);
  });

  test('SQL files of node-pg-migrate, without their down migration', async () => {
    write('1_a.sql', `-- Up Migration\n${WRAPPED}\n-- Down Migration\nrollback;\n`);
    write('2_b.js', "export const up = (pgm) => pgm.sql('commit')");

    expect(await lint()).toEqual([
      '1_a.sql:2:1 error transaction-control',
      '1_a.sql:4:1 error transaction-control',
    ]);
  });

  test('other files whose names begin with a number', async () => {
    write('0001_a.sql', WRAPPED);

    expect(await lint()).toEqual(BOTH('0001_a.sql'));
  });

  test('also up to startAfter, because synth refuses those files too', async () => {
    write('0001_a.sql', WRAPPED);
    write('0002_b.sql', 'create index i on t (a);');

    expect(await lint({ startAfter: '0002_b' })).toEqual(BOTH('0001_a.sql'));
  });
});

describe('transaction control is accepted in the files of other tools', () => {
  test.each<[string, string, Tool | undefined]>([
    ['Flyway', 'V1__a.sql', undefined],
    ['Prisma', '20240101000000_init/migration.sql', undefined],
    ['golang-migrate', '000001_a.up.sql', undefined],
    ['a dump', 'structure.sql', undefined],
  ])('%s', async (_tool, name, from) => {
    write(name, WRAPPED);

    expect(await lint({ from })).toEqual([]);
  });

  test.each(['-- migrate:up transaction:false', '-- +goose Up', '-- +migrate Up notransaction'])(
    '%s',
    async (mark) => {
      write('0001_a.sql', `${mark}\n${WRAPPED}`);

      expect(await lint()).toEqual([]);
    },
  );
});

test('a comment cannot allow what synth refuses', async () => {
  write('0001_a.sql', '-- pg-deploy-step: allow transaction-control we need it\ncommit;');

  expect(await lint()).toEqual([
    '0001_a.sql:2:1 error transaction-control',
    '0001_a.sql:1:1 error allow-comment',
  ]);
});

describe('a file that is not UTF-8', () => {
  const LATIN1 = Buffer.concat([
    Buffer.from("select 1;\nselect 'caf"),
    Buffer.from([0xe9]),
    Buffer.from("';\ncommit;"),
  ]);

  test('is an error of every tool, and its statements are not linted', async () => {
    write('V1__a.sql', LATIN1);
    write('V2__b.sql', 'create index i on t (a);');

    expect(await lint()).toEqual(['V1__a.sql:2:12 error encoding', 'V2__b.sql:1:1 error create-index']);
  });

  test('is not reported in the history of another tool, which may keep checksums of its files', async () => {
    write('V1__a.sql', LATIN1);
    write('V2__b.sql', 'select 1;');

    expect(await lint({ startAfter: 'V1__a' })).toEqual([]);
    rmSync(join(folder, 'V1__a.sql'));
    rmSync(join(folder, 'V2__b.sql'));
    write('0001_a.sql', LATIN1);
    expect(await lint({ startAfter: '0001_a' })).toEqual(['0001_a.sql:2:12 error encoding']);
  });

  test('but has a byte order mark of UTF-8 is linted with its places', async () => {
    write('0001_a.sql', '\ufeffcommit;');

    expect(await lint()).toEqual(['0001_a.sql:1:1 error transaction-control']);
  });
});
