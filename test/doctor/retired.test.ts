import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import type { TestDatabase } from '../support/database.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { examine, withRegistry } from './support.ts';

const entry = (name: string) => ({
  name,
  sql: `create index concurrently if not exists ${name} on t (${name === 't_a' ? 'a' : 'b'})`,
  description: 'rows by a column',
  serves: ['select * from t where a = 1'],
  retired: { since: '2026-01-01', reason: 'no query uses it' },
});

describe.each(MAJORS)('retired entries in doctor, PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let place: CommandFolder;

  beforeAll(async () => {
    place = createCommandFolder();
    database = await serverOf(major).createDatabase();
    await database.query(`
      create table t (id int primary key, a int, b int);
      insert into t select n, n, n from generate_series(1, 5000) n;
      create index t_a on t (a);
      analyze t`);
  });
  afterAll(async () => {
    place.remove();
    await database.drop();
  });

  test('are neither missing in the database nor unknown to the registry, and say that a deploy drops the index', async () => {
    const registry = withRegistry(place, [entry('t_a'), entry('t_b')]);
    const { findings } = await examine(place, database.url, ...registry);

    expect(findings.filter(({ kind }) => kind === 'not-in-database' || kind === 'not-in-registry')).toEqual(
      [],
    );
    const unused = findings.filter(({ kind }) => kind === 'unused');
    expect(unused.map(({ index }) => index)).toEqual(['t_a']);
    expect(unused[0]?.evidence).toMatch(
      / The registry has retired it: a deploy drops it after the grace period\.$/,
    );
  });
});
