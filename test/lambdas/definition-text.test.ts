import { expect, test } from 'vitest';
import { namesIn } from '../../lambdas/postgres/definition-names.ts';
import { splitTablespace } from '../../lambdas/postgres/definition-text.ts';

test.each([
  ['(id) tablespace fast', '(id) ', 'fast'],
  ['(id) TABLESPACE Fast where id > 1', '(id) where id > 1', 'fast'],
  [
    '(id) include (name) with (fillfactor = 70) tablespace "A ""b" where x',
    '(id) include (name) with (fillfactor = 70) where x',
    'A "b',
  ],
  ['(tablespace)', '(tablespace)', null],
  ['(id) where tablespace = 1', '(id) where tablespace = 1', null],
  ["(id) where name = ' tablespace x'", "(id) where name = ' tablespace x'", null],
  ['("tablespace x") where "where" = 1', '("tablespace x") where "where" = 1', null],
  ['("where") tablespace x', '("where") ', 'x'],
])('the tablespace of %s', (text, definition, tablespace) => {
  expect(splitTablespace(text)).toEqual({ definition, tablespace });
});

test.each([
  ['(id) with (fillfactor = 70) where id > 1', ['>']],
  ["(id) with (fillfactor = 70) where name = 'a'", ['=']],
  ["(id) where moment > '2026-01-01'::timestamp with time zone", ['>']],
  ["(id) where moment at time zone 'UTC' < '2026-01-01'", ['<']],
  ["(id) where code in ('a')", ['=', '<>']],
  ['(id) where a between 1 and 2 and name ilike $$x$$', ['>=', '<=', '<', '>', '~~*', '!~~*']],
  ['(id) where "in" > 1', ['>']],
])('the operators that %s may call', (definition, operators) => {
  expect(namesIn(definition).operators).toEqual(operators);
});
