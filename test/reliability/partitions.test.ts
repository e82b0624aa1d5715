import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openBuilds } from '../support/builds.ts';
import type { TestDatabase } from '../support/database.ts';
import { expectCompletePartitionedIndex, readIndexes } from '../support/partitions.ts';
import { MAJORS, serverOf } from '../support/servers.ts';

const ENTRY = {
  name: 'events_by_kind',
  sql: 'create index concurrently if not exists events_by_kind on events (kind, id)',
};
const COLUMNS = '(id int not null, day date not null, kind text not null)';
const ROWS = `insert into events select n, date '2024-01-01' + n % 366, 'kind ' || n % 7 from generate_series(1, 2000) n`;

const SHAPES: [what: string, tables: string, leaves: number][] = [
  [
    'by range, with a default partition,',
    `create table events ${COLUMNS} partition by range (day);
     create table events_h1 partition of events for values from ('2024-01-01') to ('2024-07-01');
     create table events_h2 partition of events default`,
    2,
  ],
  [
    'by list',
    `create table events ${COLUMNS} partition by list (kind);
     create table events_odd partition of events for values in ('kind 1', 'kind 3', 'kind 5');
     create table events_even partition of events default`,
    2,
  ],
  [
    'by hash',
    `create table events ${COLUMNS} partition by hash (id);
     ${[0, 1, 2, 3].map((at) => `create table events_${at} partition of events for values with (modulus 4, remainder ${at})`).join(';')}`,
    4,
  ],
  [
    'into sub-partitions, one of them empty, in other schemas and with quoted names',
    `create schema "old Data"; create table events ${COLUMNS} partition by range (day);
     create table "old Data"."2024 ""H1""" partition of events for values from ('2024-01-01') to ('2024-07-01') partition by list (kind);
     create table "old Data"."a @ b" partition of "old Data"."2024 ""H1""" for values in ('kind 1', 'kind 2');
     create table "old Data"."A.b" partition of "old Data"."2024 ""H1""" default partition by hash (id);
     create table "old Data".deep_0 partition of "old Data"."A.b" for values with (modulus 2, remainder 0);
     create table "old Data".deep_1 partition of "old Data"."A.b" for values with (modulus 2, remainder 1);
     create table events_none partition of events for values from ('2030-01-01') to ('2031-01-01') partition by list (kind);
     create table events_rest partition of events default`,
    4,
  ],
  [
    'into partitions whose long names are the same after truncation',
    `create table events ${COLUMNS} partition by hash (id);
     create table "${'é'.repeat(30)}aaa" partition of events for values with (modulus 3, remainder 0);
     create table "${'é'.repeat(30)}aab" partition of events for values with (modulus 3, remainder 1);
     create table "${'é'.repeat(31)}c" partition of events for values with (modulus 3, remainder 2)`,
    3,
  ],
  ['without any partition', `create table events ${COLUMNS} partition by range (day)`, 0],
];

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  const server = serverOf(major);
  let database: TestDatabase;

  beforeEach(async () => {
    database = await server.createDatabase();
  });
  afterEach(async () => {
    await database.drop();
  });

  test.each(SHAPES)('a table partitioned %s gets a complete index', async (_shape, tables, leaves) => {
    await database.query(tables);
    if (leaves > 0) await database.query(ROWS);
    const builds = await openBuilds(database.url, [ENTRY]);

    const report = await builds.deploy('first');

    expect(Object.keys(report)).toEqual(['events_by_kind']);
    expect(report.events_by_kind).toMatchObject({
      status: 'built',
      table: 'events',
      attempts: 1,
      partitions: leaves === 0 ? null : { built: leaves, failed: 0 },
      error: null,
    });
    await expectCompletePartitionedIndex(database, leaves);
    // The first round creates the index of the partitioned table. The second round has a lane for each partition.
    expect(builds.rounds.map((lanes) => lanes.length)).toEqual(leaves > 0 ? [1, leaves] : [1]);
    expect((await builds.deploy('second')).events_by_kind).toMatchObject({ status: 'present', attempts: 0 });
    expect(builds.rounds).toEqual([]);
  });

  test('a unique index with the partition key is built and enforced', async () => {
    await database.query(`${SHAPES[2]?.[1]}; ${ROWS}`);
    const builds = await openBuilds(database.url, [
      { name: 'events_id', sql: 'create unique index concurrently if not exists events_id on events (id)' },
    ]);

    expect((await builds.deploy('first')).events_id).toMatchObject({
      ...{ status: 'built', attempts: 1, partitions: { built: 4, failed: 0 } },
    });
    await expectCompletePartitionedIndex(database, 4);
    await expect(
      database.query("insert into events values (1, '2024-01-01', 'again')"),
    ).rejects.toMatchObject({
      code: '23505',
    });
  });

  test('a unique index without the partition key fails after one attempt, and the error names the missing column', async () => {
    await database.query(`${SHAPES[0]?.[1]}; ${ROWS}`);
    const builds = await openBuilds(database.url, [
      { name: 'events_id', sql: 'create unique index concurrently if not exists events_id on events (id)' },
    ]);

    for (const deploy of ['first', 'second']) {
      const report = await builds.deploy(deploy);
      expect(report.events_id).toMatchObject({
        status: 'failed',
        attempts: 1,
        error: {
          sqlstate: '0A000',
          message: expect.stringMatching(
            /Index events_id: unique constraint on partitioned table must include.*lack. column "day"/,
          ),
        },
      });
      expect(await readIndexes(database)).toEqual([]);
    }
  });

  test('a partition whose index cannot be built fails the index and is named, and the other partitions keep their indexes', async () => {
    await database.query(
      `${SHAPES[0]?.[1]}; ${ROWS};
       insert into events values (1, '2024-02-01', 'twice'), (1, '2024-02-01', 'twice')`,
    );
    const entry = {
      name: 'events_once',
      sql: 'create unique index concurrently if not exists events_once on events (id, day, kind)',
    };
    const builds = await openBuilds(database.url, [entry]);

    for (const [deploy, built] of [
      ['first', 1],
      ['second', 0],
    ] as const) {
      const report = await builds.deploy(deploy);
      expect(report.events_once).toMatchObject({
        status: 'failed',
        attempts: 1,
        partitions: { built, failed: 1 },
        error: { sqlstate: '23505', message: expect.stringContaining('Index events_once @ events_h1: ') },
      });
      // The index of the partitioned table is invalid because it is incomplete. The failed partition has no index.
      expect((await readIndexes(database)).map((one) => [one.table, one.valid])).toEqual([
        ['events', false],
        ['events_h2', true],
      ]);
    }
    await database.query("delete from events where kind = 'twice'");
    expect((await builds.deploy('third')).events_once).toMatchObject({ status: 'built', attempts: 1 });
    await expectCompletePartitionedIndex(database, 2);
  });
});
