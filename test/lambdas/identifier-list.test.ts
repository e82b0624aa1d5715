import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parseIdentifierList, quoteIdentifier } from '../../lambdas/postgres/identifiers.ts';

test.each([
  ['', []],
  ['  ', []],
  ['public', ['public']],
  ['"$user", public', ['$user', 'public']],
  ['Shop ,\t"Shop"', ['shop', 'Shop']],
  ['"a,b", "say ""hi"""', ['a,b', 'say "hi"']],
  ['ÄRGER', ['Ärger']],
  ['a'.repeat(70), ['a'.repeat(63)]],
])('%j is read as PostgreSQL reads it', (text, names) => {
  expect(parseIdentifierList(text)).toEqual(names);
});

test.each([',', 'a,', ',a', 'a,,b', 'a b', '"a', '"a"b', '""', 'a; drop table b', '"a" "b"'])(
  '%j is not a list of names',
  (text) => {
    expect(parseIdentifierList(text)).toBeNull();
  },
);

test('quoted names are read as they were', () => {
  const name = fc
    .string({ unit: 'grapheme', minLength: 1, maxLength: 8 })
    .filter((one) => Buffer.byteLength(one) <= 63);
  fc.assert(
    fc.property(fc.array(name, { minLength: 1, maxLength: 5 }), (names) => {
      expect(parseIdentifierList(names.map(quoteIdentifier).join(','))).toEqual(names);
    }),
  );
});
