/*
 * What lanes side by side bring: the same builds with `maxConcurrent` 1 and 4, turn about, as a ratio. First eight indexes
 * over four tables, then one index of a table with eight partitions.
 */
import type { IndexEntry } from '../lib/registry/define-indexes.ts';
import { indexOn, measureBuilds, seconds, withServer } from './measure.ts';

const ROUNDS = 3;
const TABLES = ['north', 'east', 'south', 'west'];

const tables = TABLES.map(
  (table) => `create table ${table} as select n as a, md5(n::text) as b from generate_series(1, 300000) n`,
).join(';');

const partitions = [
  'create table parted (a int, b text) partition by hash (a)',
  ...Array.from(
    { length: 8 },
    (_, at) => `create table parted_${at} partition of parted for values with (modulus 8, remainder ${at})`,
  ),
  'insert into parted select n, md5(n::text) from generate_series(1, 1200000) n',
].join(';');

await withServer(`${tables};${partitions}`, async (server) => {
  const overTables = TABLES.flatMap((table) => [indexOn(table, 1, 'b'), indexOn(table, 2, 'b, a')]);
  await compare('8 indexes over 4 tables', server.url(), overTables);
  await compare('1 index over 8 partitions', server.url(), [indexOn('parted', 1, 'b')]);
});

async function compare(what: string, url: string, indexes: IndexEntry[]): Promise<void> {
  const took: Record<1 | 4, number[]> = { 1: [], 4: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const maxConcurrent of [1, 4] as const) {
      took[maxConcurrent].push((await measureBuilds(url, indexes, { maxConcurrent })).buildMs);
    }
  }
  const [one, four] = [median(took[1]), median(took[4])];
  console.log(
    `${what}: one at a time ${seconds(one)}, four at a time ${seconds(four)}: ${(one / four).toFixed(2)} times as fast`,
  );
}

function median(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
}
