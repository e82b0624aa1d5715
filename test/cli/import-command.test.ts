import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { fixture } from '../support/fixtures.ts';

const COMMAND = join(import.meta.dirname, '../../bin/pg-deploy-step.ts');

let place: CommandFolder;

beforeAll(() => {
  place = createCommandFolder();
  // Like `npm link`, so that a registry can import defineIndexes from the package.
  mkdirSync(place.file('node_modules'));
  symlinkSync(join(import.meta.dirname, '../..'), place.file('node_modules/pg-deploy-step'));
});

afterAll(() => place.remove());

test('prints a registry on standard output, and what was skipped on standard error', async () => {
  const { exitCode, stdout, stderr } = await place.run('import', fixture('drizzle'));

  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/^import \{ defineIndexes \} from 'pg-deploy-step\/define-indexes';/);
  expect(stdout).toContain("name: 'idx_tickets_tenant_status'");
  expect(stderr).toContain('Indexes: 4 imported, 3 of constraints, 1 dropped later, 1 not imported');
  expect(stderr).toMatch(/scratch\.sql: file scratch\.sql: meta\/_journal\.json does not list it/);
});

test('--format json prints a registry that compiles', async () => {
  const { stdout } = await place.run('import', fixture('pg_dump/16.sql'), '--format', 'json');
  writeFileSync(place.file('printed.json'), stdout);
  expect((await loadRegistry(place.file('printed.json'))).map((index) => index.name)).toContain(
    'customer_summary_key',
  );
});

test('reads standard input', () => {
  const input = 'CREATE INDEX ON customers (project_id, status);\n';
  const { status, stdout } = spawnSync(process.execPath, [COMMAND, 'import', '-'], {
    input,
    encoding: 'utf8',
  });
  expect(status).toBe(0);
  expect(stdout).toContain('on customers (project_id, status)');
  expect(stdout).toContain(
    "description: 'Imported from (standard input), line 1. Describe what uses this index.'",
  );
});

test('--json prints all details', async () => {
  const { stdout } = await place.run('import', fixture('plain'), '--json');
  const printed = JSON.parse(stdout);
  expect(printed.entries).toHaveLength(3);
  expect(printed).toMatchObject({ constraints: 2, dropped: 1, kept: [] });
  expect(printed.notTaken).toHaveLength(3);
});

describe('with --out', () => {
  test('a new file is written, and an existing registry keeps its text', async () => {
    const out = ['--out', 'grown.ts'];
    expect((await place.run('import', fixture('rails'), ...out)).exitCode).toBe(0);
    const before = readFileSync(place.file('grown.ts'), 'utf8').replace(
      'Deals that still want work',
      'My own words',
    );
    writeFileSync(place.file('grown.ts'), before);
    const changed = 'create index index_deals_open on deals (status); create index idx_new on deals (id);';
    writeFileSync(place.file('more.sql'), changed);

    const { exitCode, stdout, stderr } = await place.run('import', fixture('rails'), 'more.sql', ...out);

    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: '' });
    expect(stderr).toContain('1 imported, 3 already in the registry');
    const after = readFileSync(place.file('grown.ts'), 'utf8');
    expect(after.startsWith(before.slice(0, before.lastIndexOf(']')).trimEnd())).toBe(true);
    expect(after).toContain("name: 'idx_new'");
  });

  test('a different definition of an existing entry is reported, and the existing entry stays', async () => {
    writeFileSync(place.file('known.sql'), 'create index idx_a on t (a)');
    await place.run('import', 'known.sql', '--out', 'known.json');
    writeFileSync(place.file('known.sql'), 'create index idx_a on t (b)');
    const { stderr } = await place.run('import', 'known.sql', '--out', 'known.json');
    expect(stderr).toContain('index idx_a: the registry has an entry of this name, with another definition');
    expect(readFileSync(place.file('known.json'), 'utf8')).toContain('on t (a)');
  });

  test('a folder that does not exist is created, if it can be', async () => {
    writeFileSync(place.file('new.sql'), 'create index idx_a on t (a)');

    expect((await place.run('import', 'new.sql', '--out', 'new/database/indexes.json')).exitCode).toBe(0);
    expect(readFileSync(place.file('new/database/indexes.json'), 'utf8')).toContain('idx_a');
    const refused = await place.run('import', 'new.sql', '--out', 'new.sql/below/indexes.json');
    expect(refused.stderr).toContain('new.sql is a file, not a folder.');
    expect(refused.exitCode).toBe(2);
  });

  test('a file that is not a registry is not changed', async () => {
    for (const [name, text] of [
      ['notes.ts', 'export const notes = 1;\n'],
      ['notes.json', '{}'],
    ] as const) {
      writeFileSync(place.file(name), text);
      expect((await place.run('import', fixture('rails'), '--out', name)).exitCode).toBe(1);
      expect(readFileSync(place.file(name), 'utf8')).toBe(text);
    }
  });
});

test.each([
  [[], 'give SQL files or folders'],
  [['no-such-folder'], 'the file or folder no-such-folder does not exist'],
  [['.', '--from', 'sequelize'], 'Allowed choices are prisma, drizzle'],
  [['.', '--database-url', 'postgres://u:hunter2@h/d'], '--database-url cannot be combined with paths'],
  [['--database-url', 'mysql://u:hunter2@h/d'], 'it starts with mysql://'],
  [['.', '--json', '--format', 'ts'], 'choose one'],
])('wrong usage %j exits with 2 and prints: %s', async (args, message) => {
  const { exitCode, stderr } = await place.run('import', ...args);
  expect(exitCode).toBe(2);
  expect(stderr).toContain(message);
  expect(stderr).not.toContain('hunter2');
});

test('a Rails project is imported from schema.rb, and the tool and the folder are printed', async () => {
  mkdirSync(place.file('rails/db'), { recursive: true });
  const schema = `ActiveRecord::Schema[8.0].define(version: 2025_01_01_000000) do
  create_table "users" do |t|
    t.string "email"
    t.index ["email"], name: "index_users_on_email", unique: true
  end
end
`;
  writeFileSync(place.file('rails/db/schema.rb'), schema);
  const { exitCode, stdout, stderr } = await place.run('import', 'rails');

  expect(exitCode).toBe(0);
  expect(stdout.replaceAll(/\s+/g, ' ')).toContain(
    'create unique index concurrently if not exists index_users_on_email on users (email)',
  );
  expect(stdout).toContain('Imported from rails/db/schema.rb, line 4.');
  expect(stderr).toMatch(/^Read as rails: 1 file of rails\/db\.\nIndexes: 1 imported/);
});

test('an unreachable database exits with 1, and the password is not printed', async () => {
  const { exitCode, stderr } = await place.run(
    'import',
    '--database-url',
    'postgres://u:hunter2@127.0.0.1:1/d',
  );
  expect(exitCode).toBe(1);
  expect(stderr).toContain('The indexes of the database cannot be read');
  expect(stderr).not.toContain('hunter2');
});
