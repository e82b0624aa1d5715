/*
 * Compares builds with `maxConcurrent` 1 and 4, in alternating rounds. First eight indexes on four tables, then one index
 * on a table with eight partitions.
 */
import type { IndexEntry } from '../lib/registry/define-indexes.ts';
import { indexOn, measureBuilds, median, seconds, withServer } from './measure.ts';

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
  const onFourTables = TABLES.flatMap((table) => [indexOn(table, 1, 'b'), indexOn(table, 2, 'b, a')]);
  await compare('8 indexes on 4 tables', server.url(), onFourTables);
  await compare('1 index on 8 partitions', server.url(), [indexOn('parted', 1, 'b')]);
});

async function compare(title: string, url: string, indexes: IndexEntry[]): Promise<void> {
  const durations: Record<1 | 4, number[]> = { 1: [], 4: [] };
  for (let round = 0; round < ROUNDS; round += 1) {
    for (const maxConcurrent of [1, 4] as const) {
      durations[maxConcurrent].push((await measureBuilds(url, indexes, { maxConcurrent })).buildMs);
    }
  }
  const [one, four] = [median(durations[1]), median(durations[4])];
  console.log(
    `${title}: ${seconds(one)} one at a time, ${seconds(four)} four at a time (${(one / four).toFixed(2)} times as fast)`,
  );
}
