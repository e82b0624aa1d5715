import { afterAll, describe, expect, test } from 'vitest';
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
      expect(measured.every(({ explained }) => explained.proposal?.tried !== true)).toBe(true);
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
