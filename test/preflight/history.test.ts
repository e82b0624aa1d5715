import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { writeMigrations } from '../support/migration-files.ts';
import { openPreflight } from '../support/open-preflight.ts';

let database: TestDatabase;
let folder: string;

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-history-'));
  database = await createDatabase();
  await database.query(`
    create table pgmigrations (id serial primary key, name text, run_on timestamp default now());
    insert into pgmigrations (name) values ('0001_a'), ('0002_b'), ('0010_c');
  `);
});
afterAll(async () => {
  await database.drop();
  rmSync(folder, { recursive: true, force: true });
});

let folders = 0;

async function preflightOf(names: string[], input?: unknown) {
  folders += 1;
  const files = Object.fromEntries(names.map((name) => [name, 'select 1;']));
  const directory = writeMigrations(join(folder, String(folders)), files);
  const { preflight } = await openPreflight(database.url, [], directory);
  const { decision, refusal } = await preflight(input);
  return { decision, refusal };
}

test('files after the last applied one are pending, in the order of their numbers', async () => {
  expect(await preflightOf(['0001_a', '0002_b', '0010_c'])).toEqual({ decision: 'nothing', refusal: null });
  expect(await preflightOf(['0001_a', '0002_b', '0010_c', '0011_d'])).toMatchObject({ decision: 'deploy' });
  expect(await preflightOf(['0001_a', '2_b', '0010_c'])).toMatchObject({ decision: 'refused' });
});

test('a database with more migrations than the files of an older release has nothing pending', async () => {
  expect(await preflightOf(['0001_a', '0002_b'])).toEqual({ decision: 'nothing', refusal: null });
});

test.each([
  [
    'a removed file of an applied migration',
    ['0001_a', '0010_c'],
    'Migration 0002_b was applied to this database, but there is no file 0002_b.sql.',
  ],
  [
    'a pending file before an applied one',
    ['0001_a', '0002_b', '0003_x', '0010_c'],
    'Migration 0003_x.sql is not applied, but comes before 0010_c',
  ],
])(
  '%s is refused before anything is stopped, but not in the mode indexes',
  async (_problem, names, message) => {
    const refused = await preflightOf(names);
    expect(refused.decision).toBe('refused');
    expect(refused.refusal).toContain(message);
    expect(await preflightOf(names, { mode: 'indexes' })).toEqual({ decision: 'nothing', refusal: null });
  },
);
