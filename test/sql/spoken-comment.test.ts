import { expect, test } from 'vitest';
import { readSql } from '../../lib/sql/read-sql.ts';
import { spokenComment } from '../../lib/sql/spoken-comment.ts';

const spoken = (text: string) => spokenComment(readSql(text).statements[0]?.comments ?? []);

test.each([
  [
    'lines before it',
    '-- Deals by time,\n--   for the dashboard\nselect 1;',
    'Deals by time, for the dashboard',
  ],
  ['a block before it', '/*\n * Deals by time\n */\nselect 1;', 'Deals by time'],
  ['a comment behind it', 'select 1; -- for the dashboard', 'for the dashboard'],
  ['a comment within it', 'select 1 -- for the dashboard\n, 2;', 'for the dashboard'],
  ['the one before it rather than the one behind', '-- before\nselect 1; -- behind', 'before'],
])('what people say is %s', (_what, text, expected) => {
  expect(spoken(text)).toBe(expected);
});

test.each([
  '-- CreateIndex',
  '-- pg-deploy-step: allow create-index for a reason',
  '-- Name: i; Type: INDEX; Schema: public; Owner: -',
  '-- Up Migration',
  '-- -----',
])('%s is nothing that people say', (comment) => {
  expect(spoken(`${comment}\nselect 1;`)).toBeUndefined();
});

test("drizzle's mark behind a statement is nothing that people say", () => {
  expect(spoken('select 1;--> statement-breakpoint\nselect 2;')).toBeUndefined();
});
