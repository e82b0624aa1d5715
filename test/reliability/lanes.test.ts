import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { toLanes } from '../../lambdas/plan-builds/lanes.ts';
import type { PlannedBuild } from '../../lambdas/postgres/planned-build.ts';
import type { Lane } from '../../lambdas/shared/build-payloads.ts';
import { NO_REFERENCES } from '../support/references.ts';

const GIB = 1024 ** 3;

function build(
  table: string,
  number: number,
  more: { bytes?: number; critical?: boolean } = {},
): PlannedBuild {
  const name = `idx_${table}_${number}`;
  return {
    item: name,
    table: { schema: 'public', table },
    tableBytes: more.bytes ?? 8192,
    index: {
      ...{ name, schema: 'public', table, unique: false, definition: 'USING btree (id)', partial: false },
      ...{
        expression: false,
        critical: more.critical ?? false,
        description: '',
        serves: [],
        onDrift: 'report',
        entryId: name,
        references: NO_REFERENCES,
      },
    },
  };
}

function builds(table: string, count: number, bytes?: number): PlannedBuild[] {
  return Array.from({ length: count }, (_, at) => build(table, at, bytes === undefined ? {} : { bytes }));
}

const tables = (lanes: readonly Lane[]) => lanes.map((lane) => lane.table);
const items = (lanes: readonly Lane[]) => lanes.flatMap((lane) => lane.indexes);

describe('lanes', () => {
  test('each table has one lane, so that its builds never run side by side', () => {
    const lanes = toLanes([build('a', 1), build('b', 1), build('a', 2)], 500);

    expect(lanes).toHaveLength(2);
    expect(lanes.find((lane) => lane.table === 'a')?.indexes).toEqual(['idx_a_1', 'idx_a_2']);
  });

  test('the lane with the most data to read comes first: the size of the table times its number of builds', () => {
    const lanes = toLanes(
      [...builds('small', 1, GIB), ...builds('often', 4, GIB), ...builds('big', 1, 3 * GIB)],
      500,
    );

    expect(tables(lanes)).toEqual(['often', 'big', 'small']);
  });

  test('of tables with an unknown size the one with the most builds comes first', () => {
    expect(tables(toLanes([...builds('a', 1, 0), ...builds('b', 5, 0), ...builds('c', 2, 0)], 500))).toEqual([
      'b',
      'c',
      'a',
    ]);
  });

  test('critical indexes come first in their lane, and the others follow in the order of the registry', () => {
    const [lane] = toLanes([build('a', 1), build('a', 2, { critical: true }), build('a', 3)], 500);

    expect(lane?.indexes).toEqual(['idx_a_2', 'idx_a_1', 'idx_a_3']);
  });

  test('tables with the same name in two schemas have two lanes', () => {
    const other = { ...build('a', 2), table: { schema: 'crm', table: 'a' } };

    expect(tables(toLanes([build('a', 1), other], 500)).toSorted()).toEqual(['a', 'crm.a']);
  });
});

describe('a round', () => {
  test('has no more builds than the limit', () => {
    expect(items(toLanes([...builds('a', 300), ...builds('b', 300)], 500))).toHaveLength(500);
  });

  test('has more than one build, however long each of them takes, because the checks become rare', () => {
    expect(items(toLanes(builds('huge', 2, 1_000_000 * GIB), 500))).toHaveLength(2);
  });

  test('has fewer builds if each is expected to take hours, so that their checks fit into the history', () => {
    const many = items(toLanes(builds('huge', 400, 200 * GIB), 500)).length;

    expect(many).toBeGreaterThan(1);
    expect(many).toBeLessThan(100);
  });

  const anyBuilds = fc
    .array(
      fc.record({
        table: fc.constantFrom('a', 'b', 'c', 'd', 'e'),
        bytes: fc.constantFrom(0, 8192, GIB, 500 * GIB),
        critical: fc.boolean(),
      }),
      { maxLength: 60 },
    )
    .map((all) => {
      const bytesOf = new Map(all.map(({ table, bytes }) => [table, bytes]));
      return all.map(({ table, critical }, at) =>
        build(table, at, { bytes: bytesOf.get(table) ?? 0, critical }),
      );
    });

  test('has no build of an earlier round, and all rounds together have every build once', () => {
    fc.assert(
      fc.property(anyBuilds, fc.integer({ min: 1, max: 70 }), (all, most) => {
        const done: string[] = [];
        for (let open = all; open.length > 0; open = all.filter(({ item }) => !done.includes(item))) {
          const lanes = toLanes(open, most);
          const round = items(lanes);
          expect(round.length).toBeGreaterThan(0);
          expect(round.length).toBeLessThanOrEqual(most);
          expect(new Set(tables(lanes)).size).toBe(lanes.length);
          done.push(...round);
        }
        expect(done.toSorted()).toEqual(all.map(({ item }) => item).toSorted());
      }),
    );
  });

  test('has its lanes ordered by the data to read, and critical indexes first within a lane', () => {
    fc.assert(
      fc.property(anyBuilds, (all) => {
        const lanes = toLanes(all, 500);
        const byItem = new Map(all.map((one) => [one.item, one]));
        const members = lanes.map((lane) => lane.indexes.flatMap((item) => byItem.get(item) ?? []));
        for (const lane of members) {
          const critical = lane.map((one) => one.index.critical);
          expect(critical).toEqual(critical.toSorted((a, b) => Number(b) - Number(a)));
          expect(new Set(lane.map((one) => one.table.table)).size).toBe(1);
        }
        if (items(lanes).length < all.length) return;
        const work = members.map((lane) => lane.reduce((sum, one) => sum + (one.tableBytes ?? 0), 0));
        expect(work).toEqual(work.toSorted((a, b) => b - a));
      }),
    );
  });
});
