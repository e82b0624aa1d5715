import { expect, test } from 'vitest';
import type { Finding } from '../../lib/lint/finding.ts';
import { type LintResult, toGithub, toJson, toText } from '../../lib/lint/format-result.ts';

const ERROR: Finding = {
  rule: 'create-index',
  severity: 'error',
  file: 'database/migrations/0008,a:b.sql',
  line: 3,
  column: 5,
  message: '100 % wrong',
  entry: "{\n  name: 'i',\n}",
};
const WARNING: Finding = { ...ERROR, rule: 'unreadable', severity: 'warning', entry: undefined };
const RESULT: LintResult = {
  findings: [ERROR, WARNING],
  files: 7,
  notRun: [],
  moved: [{ name: 'j', file: 'database/migrations/0007.sql', line: 2 }],
  kept: [{ name: 'k', file: 'database/migrations/0007.sql', line: 3, reason: 'it is dropped later' }],
};

test('the text for people has a line for each finding, the entry to paste, the moved indexes and the totals', () => {
  expect(toText(RESULT, { paint: (text) => text })).toBe(
    [
      'database/migrations/0008,a:b.sql:3:5: error create-index: 100 % wrong',
      '    {',
      "      name: 'i',",
      '    },',
      'database/migrations/0008,a:b.sql:3:5: warning unreadable: 100 % wrong',
      'Moved j from database/migrations/0007.sql, line 2.',
      'Did not move k from database/migrations/0007.sql, line 3: it is dropped later.',
      '1 error, 1 warning, 1 moved in 7 files.',
    ].join('\n'),
  );
});

test('the output for GitHub has an escaped workflow command for each finding', () => {
  const place = 'file=database/migrations/0008%2Ca%3Ab.sql,line=3,col=5';
  expect(toGithub(RESULT).split('\n')).toEqual([
    `::error ${place},title=create-index::100 %25 wrong%0A{%0A  name: 'i',%0A}`,
    `::warning ${place},title=unreadable::100 %25 wrong`,
  ]);
});

test('the JSON for pipelines contains the counts', () => {
  const { entry: _none, ...warning } = WARNING;
  expect(JSON.parse(toJson(RESULT))).toEqual({
    files: 7,
    errors: 1,
    warnings: 1,
    findings: [ERROR, warning],
    moved: RESULT.moved,
    kept: RESULT.kept,
    notRun: [],
  });
});

test('the text names the migrations that were not run', () => {
  const text = toText({ ...RESULT, notRun: ['a.js', 'b\u202e.ts'] }, { paint: (piece) => piece });
  expect(text).toContain('Not checked, because --no-code runs no code: 2 migrations: a.js, b\\u202e.ts.');
});
