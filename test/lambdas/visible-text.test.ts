import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  oneLine,
  quoted,
  quotedValue,
  visible,
  visibleJson,
  visibleLines,
  withoutCommands,
  withoutLinks,
} from '../../lambdas/shared/visible-text.ts';
import { DANGEROUS_CHARACTERS, hostileText } from '../support/hostile-text.ts';

const RUNS = { numRuns: 2000 };

describe('text with invisible characters', () => {
  test.each([
    [
      'an escape sequence',
      '\u001b]8;;https://evil.example\u0007x',
      '\\u001b]8;;https://evil.example\\u0007x',
    ],
    ['a C1 control character', '\u009b2J', '\\u009b2J'],
    ['a line end, a return and a tab', 'a\n::error\r\tb', 'a\\n::error\\r\\tb'],
    ['a line separator', 'a\u2028b\u2029', 'a\\u2028b\\u2029'],
    ['bidirectional marks', '\u202eab\u2066c\u061c', '\\u202eab\\u2066c\\u061c'],
    ['zero-width characters', 'a\u200bb\ufeffc\u00ad', 'a\\u200bb\\ufeffc\\u00ad'],
    ['tag characters', 'a\u{e0041}', 'a\\u{e0041}'],
    ['half of a surrogate pair', 'a\ud83db', 'a\\ud83db'],
    ['letters that no font draws', 'a\u3164b\u115f', 'a\\u3164b\\u115f'],
  ])('shows %s as escapes', (_what, text, shown) => {
    expect(visible(text)).toBe(shown);
  });

  test.each(['Größe', '日本語', 'idx_orders', '⚠️ slow', '😀', 'a b\u00a0c', 'l’index «é»', 'C:\\path'])(
    'stays as it is without them: %s',
    (text) => {
      expect(visible(text)).toBe(text);
    },
  );

  test('in several lines keeps only the line ends', () => {
    expect(visibleLines('a\nb\rc\u001b')).toBe('a\nb\\rc\\u001b');
  });

  test('in one line has one space for each run of white space', () => {
    expect(oneLine(' a\r\n\t b\u2028c\u001b ')).toBe('a b c\\u001b');
  });
});

describe('a quoted value', () => {
  test('has escapes for quotes and backslashes, so that nobody can end it', () => {
    expect(quoted('a" is fine. "\\')).toBe('"a\\" is fine. \\"\\\\"');
  });

  test('ends with an ellipsis when it is long, and no escape is cut', () => {
    expect(quoted('abcdef', 5)).toBe('"abcde…"');
    expect(quoted('abcde', 5)).toBe('"abcde"');
    expect(quoted('\u001b\u001b', 8)).toBe('"\\u001b…"');
    expect(quoted('😀😀', 3)).toBe('"😀…"');
    expect(quoted('x'.repeat(10_000_000))).toBe(`"${'x'.repeat(80)}…"`);
  });

  test('of another type is shown by its type', () => {
    expect([7, true, null, undefined, [1], { a: 1 }, 'x'].map(quotedValue)).toEqual([
      ...['7', 'true', 'null', 'undefined', 'a list', 'an object', '"x"'],
    ]);
  });
});

test('JSON keeps every value, and shows no invisible character and no command of a CI system', () => {
  fc.assert(
    fc.property(fc.dictionary(hostileText, hostileText), (value) => {
      const json = visibleJson(value);
      expect(visibleJson(value, 2).replaceAll('\n', '')).not.toMatch(DANGEROUS_CHARACTERS);
      expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(value)));
      expect(json).not.toMatch(DANGEROUS_CHARACTERS);
      expect(json).not.toMatch(/##\w*\[/);
    }),
    RUNS,
  );
});

test('no form of a text contains a dangerous character, and to show it again changes nothing', () => {
  fc.assert(
    fc.property(hostileText, (text) => {
      for (const show of [visible, visibleLines, oneLine]) {
        const shown = show(text);
        expect(shown.replaceAll('\n', '')).not.toMatch(DANGEROUS_CHARACTERS);
        expect(show(shown)).toBe(shown);
      }
      expect(visible(text)).not.toContain('\n');
      expect(quoted(text)).not.toMatch(DANGEROUS_CHARACTERS);
      expect(quoted(text).length).toBeLessThanOrEqual(83);
    }),
    RUNS,
  );
});

describe('commands of CI systems', () => {
  test('are shown without their meaning', () => {
    expect(withoutCommands('a\n::error::b\n  ::set-output::c\nd ##vso[task.setvariable]x ##[error]y')).toBe(
      'a\n\\u003a:error::b\n  \\u003a:set-output::c\nd #\\u0023vso[task.setvariable]x #\\u0023[error]y',
    );
  });

  test('do not hide in other text', () => {
    expect(withoutCommands('select a::text\n## Heading')).toBe('select a::text\n## Heading');
  });
});

describe('links', () => {
  test.each([
    ['see https://evil.example/x', 'see https:\\u002f/evil\\u002eexample/x'],
    ['http://10.0.0.1', 'http:\\u002f/10\\u002e0\\u002e0\\u002e1'],
    ['WWW.evil.example', 'WWW\\u002eevil\\u002eexample'],
    ['evil.example/login', 'evil\\u002eexample/login'],
    ['..evil.example:8080/x', '\\u002e\\u002eevil\\u002eexample:8080/x'],
    ['write to help@evil.example', 'write to help@evil\\u002eexample'],
    ['<https://evil.example|the runbook>', '\\u003chttps:\\u002f/evil\\u002eexample|the runbook>'],
    ['<!channel> <@U1> <#C1> <script>', '\\u003c!channel> \\u003c@U1> \\u003c#C1> \\u003cscript>'],
    ['[the runbook](//evil.example)', '[the runbook\\u005d(//evil.example)'],
  ])('%s has no link', (text, shown) => {
    expect(withoutLinks(text)).toBe(shown);
  });

  test.each([
    'public.orders: 23505',
    'a < b and c <> d',
    'database/indexes.ts',
    '0001_tables.sql:3:5: wrong',
    'x = array[1](2',
  ])('other text stays as it is: %s', (text) => {
    expect(withoutLinks(text).replace('\\u005d', ']')).toBe(text);
  });

  test('of a long text are found in linear time', () => {
    const found = withoutLinks(`${'a.'.repeat(500_000)}/${'a'.repeat(500_000)}${'@'.repeat(500_000)}`);
    expect(found.length).toBeGreaterThan(1_000_000);
    expect(withoutCommands('\n'.repeat(500_000) + ' '.repeat(500_000)).length).toBe(1_000_000);
  });
});
