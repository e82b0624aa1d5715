import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createDatabase } from '../support/database.ts';
import { type DebianPostgres, debianVersionWith, startDebianPostgres } from '../support/debian-postgres.ts';
import { CASE_FILES, type Measured, measure, shortfalls } from './cases.ts';

const version = debianVersionWith('hypopg');

if (version === undefined) {
  console.warn(
    'NOT TESTED: hypopg is not installed, so no proposal is tried as a hypothetical index (Debian: apt-get install postgresql-15-hypopg).',
  );
} else {
  describe('proposals that are tried with hypopg, measured with real indexes', () => {
    const all: Measured[] = [];
    let server: DebianPostgres;

    beforeAll(async () => {
      server = await startDebianPostgres(version);
    });
    afterAll(async () => {
      await server.stop();
      console.log(
        `${all.filter(({ good }) => good).length} of ${all.length} are as good\n${shortfalls(all).join('\n')}`,
      );
    });

    test.each(CASE_FILES)('$file: $about', async (file) => {
      const database = await createDatabase({ adminUrl: server.adminUrl });
      try {
        const measured = await measure(database.url, {
          ...file,
          schema: ['create extension hypopg', ...file.schema],
        });
        all.push(...measured);
        const proposals = measured.flatMap(({ explained }) => explained.proposal ?? []);
        // Hypothetical indexes are B-trees of tables without partitions.
        const untried = proposals.filter(({ tried, method }) => !tried && method === 'btree');
        expect(untried.map(({ table }) => table).filter((table) => table !== 'readings')).toEqual([]);
        expect(
          proposals
            .filter(({ tried }) => tried)
            .every(({ costAfter, costBefore }) => (costAfter ?? 0) < costBefore),
        ).toBe(true);
      } finally {
        await database.drop();
      }
    });

    test('at least 90 % are as good as every index of one or two columns', () => {
      const good = all.filter((one) => one.good).length;
      expect(good / all.length, shortfalls(all).join('\n')).toBeGreaterThanOrEqual(0.9);
    });
  });
}
