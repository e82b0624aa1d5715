import type { IndexStmt } from 'libpg-query';
import { expect, test } from 'vitest';
import type { EntryShape } from '../../lib/lint/registry/entry-rule.ts';
import { overlaps } from '../../lib/lint/registry/overlaps.ts';
import { shapeOf } from '../../lib/registry/index-shape.ts';
import { parseSql } from '../../lib/sql/parser.ts';
import { workOf } from '../support/work-meter.ts';

/** Four times the entries may need about four times the work. Quadratic work would be sixteen times. */
const MOST_GROWTH = 7;

/** Entries on one table, each with its definition from the parenthesis on. */
function shapes(count: number, definitionOf: (at: number) => string): EntryShape[] {
  return Array.from({ length: count }, (_, at) => {
    const name = `idx_${at}`;
    const node = parseSql(`create index ${name} on t ${definitionOf(at)}`)[0]?.node;
    const entry = { index: { name, schema: 'public', table: 't' }, label: `entry ${at + 1} "${name}"` };
    return { entry, ...shapeOf(node?.IndexStmt as IndexStmt) } as unknown as EntryShape;
  });
}

test.each([
  ['other columns', (at: number) => `(a${at})`],
  ['the same first column', (at: number) => `(a, b${at})`],
  ['other predicates', (at: number) => `(a) where b = ${at}`],
  ['other columns that are included', (at: number) => `(a) include (b${at})`],
  ['one index with many names', () => '(a)'],
  ['prefixes of each other', (at: number) => (at % 2 === 0 ? `(a${at})` : `(a${at - 1}, b)`)],
])('thousands of entries on one table are compared in linear work: %s', async (_what, definitionOf) => {
  const few = shapes(250, definitionOf);
  const many = shapes(1_000, definitionOf);

  const growth = (await workOf(() => overlaps(many))) / (await workOf(() => overlaps(few)));

  expect(growth).toBeLessThan(MOST_GROWTH);
});
