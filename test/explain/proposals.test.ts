import { afterAll, describe, expect, test } from 'vitest';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { createDatabase } from '../support/database.ts';
import { CASE_FILES, type Measured, measure, shortfalls } from './cases.ts';

const all: Measured[] = [];

describe('proposals without hypopg, measured with real indexes', () => {
  test.each(CASE_FILES)('$file: $about', async (file) => {
    const database = await createDatabase();
    try {
      const measured = await measure(database.url, file);
      all.push(...measured);
      expect(measured.filter(({ explained }) => explained.verdict === 'error')).toEqual([]);
      const proposals = measured.flatMap(({ explained }) => explained.proposal ?? []);
      expect(proposals.every(({ tried }) => !tried)).toBe(true);
      for (const { entry, columns, where } of proposals) {
        expect(columns.length, entry.sql).toBeLessThanOrEqual(3);
        expect(
          columns.findIndex(({ column }) => column === 'tenant_id'),
          entry.sql,
        ).toBeLessThanOrEqual(0);
        expect(where ?? '', entry.sql).not.toMatch(/\$\d|::text|cast/i);
        // A finished entry: the registry accepts it.
        await compileRegistry([entry], 'registry');
      }
    } finally {
      await database.drop();
    }
  });

  test('at least 90 % of at least 60 cases are as good as every index of one or two columns', () => {
    expect(all.length).toBeGreaterThanOrEqual(60);
    const good = all.filter((one) => one.good).length;
    expect(good / all.length, shortfalls(all).join('\n')).toBeGreaterThanOrEqual(0.9);
  });
});

afterAll(() => {
  console.log(
    `${all.filter(({ good }) => good).length} of ${all.length} proposals are as good\n${shortfalls(all).join('\n')}`,
  );
});
