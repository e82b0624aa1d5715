import { describe, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { readIndexes } from '../support/partitions.ts';
import { MAJORS } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';

const BY_KIND = {
  name: 'events_by_kind',
  sql: 'create index concurrently if not exists events_by_kind on events (kind)',
};
const BY_NAME = {
  name: 'people_by_name',
  sql: 'create index concurrently if not exists people_by_name on people (name)',
};

/** A foreign table needs no extension as long as nothing reads it. */
const FOREIGN = `
  create foreign data wrapper dummy; create server elsewhere foreign data wrapper dummy;
  create foreign table archive (id int, kind text) server elsewhere`;
const ATTACH = 'alter table events attach partition archive for values from (2000) to (3000)';

describe.each(MAJORS)('a partitioned table with a foreign partition, on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  useDatabase(
    major,
    `create table events (id int, kind text) partition by range (id);
       create table events_1 partition of events for values from (0) to (1000);
       create table events_2 partition of events for values from (1000) to (2000) partition by range (id);
       create table events_2a partition of events_2 for values from (1000) to (1500);
       insert into events select n, 'kind ' || n % 7 from generate_series(0, 1499) n;
       create table people (name text);
       ${FOREIGN}`,
    (opened) => {
      database = opened;
    },
  );

  /** The statement that a message tells the reader to run. */
  function statementIn(message: string | undefined, beginning: RegExp): string {
    const statement = message?.match(new RegExp(`${beginning.source}[^;]*;`))?.[0];
    if (statement === undefined) throw new Error(`No ${beginning} in: ${message}`);
    return statement;
  }

  const REASON = 'partition archive is a foreign table';

  test.each([
    ['directly below it', ATTACH],
    ['at a lower level', 'alter table events_2 attach partition archive for values from (1500) to (2000)'],
  ])(
    '%s fails with the reason; the other indexes are built, and the statement in the message works',
    async (_level, attach) => {
      await database.query(attach);
      const builds = await openBuilds(database.url, [BY_KIND, BY_NAME]);

      const report = await builds.deploy('first');

      expect(report.people_by_name).toMatchObject({ status: 'built' });
      expect(report.events_by_kind).toMatchObject({
        status: 'failed',
        attempts: 0,
        error: { sqlstate: '0A000', message: expect.stringContaining(REASON) },
      });
      expect((await readIndexes(database)).map((index) => index.name)).toEqual(['people_by_name']);
      await database.query(statementIn(report.events_by_kind?.error?.message, /CREATE INDEX/));
      expect((await builds.deploy('second')).events_by_kind).toMatchObject({
        status: 'present',
        attempts: 0,
      });
    },
  );

  test('is refused in preflight if the index is critical, and nothing else', async () => {
    await database.query(ATTACH);

    const critical = await openPreflight(database.url, [{ ...BY_KIND, critical: true }, BY_NAME]);
    expect(await critical.preflight()).toMatchObject({
      decision: 'refused',
      refusal: expect.stringContaining(REASON),
    });
    expect(await critical.preflight({ mode: 'plan' })).toMatchObject({ decision: 'plan' });
    expect(await critical.preflight({ indexes: ['people_by_name'] })).toMatchObject({ decision: 'deploy' });
    // The services are not stopped for an index that cannot be built.
    const nonCritical = await openPreflight(database.url, [BY_KIND]);
    expect(await nonCritical.preflight()).toMatchObject({ decision: 'nothing', refusal: null });
  });

  test('fails for a unique index, which PostgreSQL refuses itself', async () => {
    await database.query(ATTACH);
    const builds = await openBuilds(database.url, [
      { ...BY_KIND, sql: 'create unique index concurrently if not exists events_by_kind on events (id)' },
    ]);

    const { events_by_kind: report } = await builds.deploy('first');

    expect(report).toMatchObject({ status: 'failed', error: { sqlstate: '0A000' } });
    expect(report?.error?.message).toContain('PostgreSQL refuses a unique index');
    expect(report?.error?.message).not.toContain('CREATE INDEX CONCURRENTLY');
    await expect(database.query('create unique index on events (id)')).rejects.toMatchObject({
      code: '42809',
    });
  });

  test('has its index built if the foreign table is detached', async () => {
    await database.query(ATTACH);
    const builds = await openBuilds(database.url, [BY_KIND]);
    expect((await builds.deploy('first')).events_by_kind).toMatchObject({ status: 'failed' });

    await database.query('alter table events detach partition archive');
    expect((await builds.deploy('second')).events_by_kind).toMatchObject({ status: 'built' });

    // From then on the index stays valid.
    await database.query(ATTACH);
    expect((await builds.deploy('third')).events_by_kind).toMatchObject({ status: 'present' });
  });

  test('that is attached after the plan leaves no invalid index', async () => {
    const builds = await openBuilds(database.url, [BY_KIND, BY_NAME]);
    let plans = 0;

    const report = await builds.deploy('first', async () => {
      plans += 1;
      // The first plan has the index of the partitioned table, the second plan those of its partitions.
      if (plans === 2) await database.query(ATTACH);
    });

    expect(report.people_by_name).toMatchObject({ status: 'built' });
    expect(report.events_by_kind).toMatchObject({
      status: 'failed',
      error: { sqlstate: '0A000', message: expect.stringContaining(REASON) },
    });
    expect((await readIndexes(database)).map((index) => index.name)).toEqual(['people_by_name']);
  });

  test('that is attached after a partition got its index leaves no invalid index', async () => {
    const builds = await openBuilds(database.url, [BY_KIND]);
    await builds.build('first', 'events_by_kind');
    await builds.build('first', 'events_by_kind @ events_1');
    expect((await readIndexes(database)).filter((index) => index.valid)).toMatchObject([
      { table: 'events_1' },
    ]);
    await database.query(ATTACH);

    await expect(builds.build('first', 'events_by_kind @ events_2a')).rejects.toThrow(REASON);

    expect(await readIndexes(database)).toEqual([]);
    expect((await builds.deploy('next')).events_by_kind).toMatchObject({ status: 'failed' });
  });

  test('of which an earlier version left an empty invalid index loses that index', async () => {
    await database.query(`create index events_by_kind on only events (kind); ${ATTACH}`);
    const builds = await openBuilds(database.url, [BY_KIND]);

    const report = await builds.deploy('first');

    expect(report.events_by_kind).toMatchObject({
      status: 'failed',
      attempts: 1,
      error: { sqlstate: '0A000' },
    });
    expect(await readIndexes(database)).toEqual([]);
    expect((await builds.deploy('second')).events_by_kind).toMatchObject({ status: 'failed', attempts: 0 });
  });

  test('of which an earlier version left an invalid index keeps the valid indexes of its partitions', async () => {
    await database.query(
      `create index events_by_kind on only events (kind); create index part on events_1 (kind);
       alter index events_by_kind attach partition part; ${ATTACH}`,
    );
    const before = await readIndexes(database);
    const builds = await openBuilds(database.url, [BY_KIND]);

    const report = await builds.deploy('first');

    expect(report.events_by_kind).toMatchObject({ status: 'failed', error: { sqlstate: '0A000' } });
    expect(await readIndexes(database)).toEqual(before);
    const message = report.events_by_kind?.error?.message;
    expect(message).toContain('and with it the indexes of 1 partition');
    await database.query(statementIn(message, /DROP INDEX/));
    await database.query(statementIn(message, /CREATE INDEX/));
    expect((await builds.deploy('second')).events_by_kind).toMatchObject({ status: 'present' });
  });

  test('uses the indexes that were created on its partitions before the statement in the message', async () => {
    await database.query(
      `${ATTACH}; create index part_1 on events_1 (kind); create index part_2 on events_2a (kind)`,
    );
    const builds = await openBuilds(database.url, [BY_KIND]);

    const report = await builds.deploy('first');
    await database.query(statementIn(report.events_by_kind?.error?.message, /CREATE INDEX/));

    const leaves = (await readIndexes(database)).filter(
      (index) => index.table !== 'events' && index.table !== 'events_2',
    );
    expect(leaves).toEqual([
      { table: 'events_1', name: 'part_1', valid: true, attached: true },
      { table: 'events_2a', name: 'part_2', valid: true, attached: true },
    ]);
  });
});
