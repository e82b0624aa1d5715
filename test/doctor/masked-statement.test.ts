import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { maskedStatement } from '../../lib/doctor/masked-statement.ts';

describe('a statement without its constants', () => {
  test.each([
    [
      "select * from users where email = 'jane@example.com' and id = 42",
      'select * from users where email = … and id = …',
    ],
    ['select $1, "Odd ""name""", a.b from t limit 10.5e3', 'select $1, "Odd ""name""", a.b from t limit …'],
    ["select E'a\\'secret' , 1", 'select …'],
    ["select 'it''s', 'a\\' , secret", 'select …, …'],
    ['select $tag$ secret $tag$, x', 'select …, x'],
    ['select $tag$ secret', 'select …'],
    ["select b'0101', x'ff', n'secret', U&'secret', y", 'select …, …, …, U&…, y'],
    ['/* trace secret */ select 1 -- secret', 'select …'],
    ['select 1 /* a /* b */ secret */ x', 'select … …'],
    ["select 'secret", 'select …'],
    ['select "secret', 'select …'],
    ['select a1, t2.b from t2 where c=-7::int8', 'select a1, t2.b from t2 where c=-…::int8'],
    ["create role secret_app password 'secret'", 'create role …'],
    ["ALTER USER jane PASSWORD 'secret'", 'ALTER USER …'],
    ['set secret.key = value', 'set secret …'],
    ["copy t to program 'secret'", 'copy t …'],
    ['(select 1)', '(select …)'],
    ['', ''],
    ["'secret'", ''],
  ])('%s', (statement, masked) => {
    expect(maskedStatement(statement)).toBe(masked);
  });

  test('a long one is cut', () => {
    expect(maskedStatement(`select ${'a, '.repeat(200)}b`)).toHaveLength(200);
  });

  test('no constant is shown, wherever the server cuts the statement', () => {
    const constant = fc.constantFrom(
      "'SECRET'",
      "E'x\\'SECRET'",
      '$$SECRET$$',
      "'a''SECRET'",
      '/* SECRET */',
      '$q$ SECRET $q$',
    );
    const piece = fc.oneof(
      constant,
      fc.constantFrom('select', 'a', '"N"', '$1', ',', '(', 'E', "''", ' ', '-', '1'),
    );
    fc.assert(
      fc.property(fc.array(piece), fc.nat(), (pieces, end) => {
        const statement = `select ${pieces.join(' ')}`;
        expect(maskedStatement(statement.slice(0, end % (statement.length + 1)), 10_000)).not.toContain(
          'SECRET',
        );
      }),
      { numRuns: 3000 },
    );
  });
});
