import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { explainQueries } from '../../lib/explain/explain-queries.ts';
import { readQuery } from '../../lib/explain/query-source.ts';
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

    test('hypopg is not used if a role that is not trusted owns its schema, because that role could replace its functions', async () => {
      const database = await createDatabase({ adminUrl: server.adminUrl });
      const tried = async () => {
        const [explained] = await explainQueries(
          database.url,
          [readQuery("select * from orders where code = 'c7'", { name: 'orders', file: null })],
          { searchPath: undefined, registry: [], minRows: null, tenantColumn: null, analyzeMs: null },
        );
        return explained?.proposal?.tried;
      };
      try {
        await database.query(`
          create table orders (id int primary key, code text);
          insert into orders select n, 'c' || n from generate_series(1, 50000) n;
          analyze orders;
          create schema extensions;
          create extension hypopg schema extensions;
          create role hypopg_stranger login`);
        expect(await tried()).toBe(true);
        await database.query('alter schema extensions owner to hypopg_stranger');
        expect(await tried()).toBe(false);
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
