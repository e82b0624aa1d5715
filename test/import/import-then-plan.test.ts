import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { importDatabase } from '../../lib/import/import-database.ts';
import { openBuilds } from '../support/builds.ts';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { fixture, importFixture, loadFixture } from '../support/fixtures.ts';

const DUMPS = [14, 15, 16, 17, 18].map((version) => `pg_dump/${version}.sql`);
const NAMES = ['prisma', 'drizzle', 'rails', 'flyway', 'node-pg-migrate', 'plain', ...DUMPS];

describe.each(NAMES)('on a database created from %s', (name) => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createDatabase();
    await loadFixture(database.url, name);
  });

  afterAll(() => database.drop());

  test('every imported index is present, none has to be built, and none has drifted', async () => {
    const { entries } = await importFixture(name);
    const builds = await openBuilds(database.url, [...entries]);
    const examined = Object.values(await builds.examine());

    expect(examined.map(({ index, state }) => ({ name: index.name, state }))).toEqual(
      entries.map((entry) => ({ name: entry.name, state: 'present' })),
    );
    expect(await builds.plan('plan')).toEqual([]);
  });

  test('the import of the database itself is present too, and contains every index of the files', async () => {
    const { entries: ofFiles } = await importFixture(name);
    const { entries, notTaken } = await importDatabase(database.url);
    const builds = await openBuilds(database.url, [...entries]);
    const states = Object.values(await builds.examine()).map(({ state }) => state);

    expect(notTaken).toEqual([]);
    expect(new Set(states)).toEqual(new Set(['present']));
    expect(await builds.plan('plan')).toEqual([]);
    const names = entries.map((entry) => entry.name);
    for (const entry of ofFiles) expect(names).toContain(entry.name);
  });
});

describe('on the command line and in the whole workflow', () => {
  let place: CommandFolder;
  let database: TestDatabase;

  beforeAll(async () => {
    place = createCommandFolder();
    database = await createDatabase();
    await loadFixture(database.url, 'pg_dump/18.sql');
  });

  afterAll(async () => {
    place.remove();
    await database.drop();
  });

  test('import, then run --mode plan reports that all indexes exist and none has to be built', async () => {
    const imported = await place.run('import', fixture('pg_dump/18.sql'), '--out', 'indexes.json');
    expect(imported).toMatchObject({ exitCode: 0, stdout: '' });
    expect(imported.stderr).toContain('8 imported');

    const args = ['--database-url', database.deployUrl, '--indexes', 'indexes.json', '--migrations', 'none'];
    const { exitCode, stdout } = await place.run('run', ...args, '--mode', 'plan');
    expect(exitCode).toBe(0);
    expect(stdout).toContain('Indexes: 8 already present, 0 to build');
    expect(stdout).not.toMatch(/drift/i);
  });
});
