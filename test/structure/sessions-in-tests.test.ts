import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from '@babel/parser';
import { traverseFast } from '@babel/types';
import { expect, test } from 'vitest';

/*
 * Test files run side by side on one server. A statement that reads or ends the sessions of the whole server sees those of
 * other files too, and so fails only sometimes.
 */

const TESTS = join(import.meta.dirname, '..');

/** Views that show what happens in all databases. */
const OF_THE_SERVER = /\b(from|join)\s+pg_(stat_activity|locks|stat_progress_create_index|prepared_xacts)\b/i;

/** The statement reads one database, one role, one session or one table. */
const LIMITED = /current_database\(\)|\bdatname\b|\busename\b|\bpid = |\.pid\b|\b(relation|relid) =/;

function literalsOf(file: string): string[] {
  const code = readFileSync(join(TESTS, file), 'utf8');
  const found: string[] = [];
  traverseFast(parse(code, { sourceType: 'module', plugins: ['typescript'] }), ({ type, start, end }) => {
    if (type !== 'StringLiteral' && type !== 'TemplateLiteral') return;
    found.push(code.slice(start ?? 0, end ?? 0));
  });
  return found;
}

test('statements of tests read the sessions and locks of their own database only', () => {
  const wrong = globSync('**/*.ts', { cwd: TESTS }).flatMap((file) =>
    literalsOf(file)
      .filter((text) => OF_THE_SERVER.test(text) && !LIMITED.test(text))
      .map((text) => `${file}: ${text}`),
  );
  expect(wrong).toEqual([]);
});
