import { expect, test } from 'vitest';
import { descriptionFromComments } from '../../lib/sql/comment-description.ts';
import { readSql } from '../../lib/sql/read-sql.ts';

const description = (text: string) => descriptionFromComments(readSql(text).statements[0]?.comments ?? []);

test.each([
  [
    'lines before it',
    '-- Deals by time,\n--   for the dashboard\nselect 1;',
    'Deals by time, for the dashboard',
  ],
  ['a block before it', '/*\n * Deals by time\n */\nselect 1;', 'Deals by time'],
  ['a comment after it', 'select 1; -- for the dashboard', 'for the dashboard'],
  ['a comment inside it', 'select 1 -- for the dashboard\n, 2;', 'for the dashboard'],
  ['the comment before it, not the one after it', '-- before\nselect 1; -- after', 'before'],
])('the description of a statement is from %s', (_what, text, expected) => {
  expect(description(text)).toBe(expected);
});

test.each([
  '-- CreateIndex',
  '-- pg-deploy-step: allow create-index for a reason',
  '-- Name: i; Type: INDEX; Schema: public; Owner: -',
  '-- Up Migration',
  '-- -----',
])('%s is not a description', (comment) => {
  expect(description(`${comment}\nselect 1;`)).toBeUndefined();
});

test("Drizzle's mark after a statement is not a description", () => {
  expect(description('select 1;--> statement-breakpoint\nselect 2;')).toBeUndefined();
});
