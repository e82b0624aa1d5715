import fc from 'fast-check';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';

/** The start of an expression in a template. */
const OPEN = ['$', '{'].join('');

const PIECE = fc.constantFrom(
  ...[
    "'",
    '"',
    '`',
    '\\',
    OPEN,
    '}',
    `${OPEN}a}`,
    '\n',
    '\r\n',
    '\r',
    '\t',
    '\u2028',
    '\u2029',
    '\0',
    '\ufeff',
    '\ud800',
    '\udc00',
  ],
  ...[
    '😀',
    '1',
    '//',
    '/*',
    '*/',
    '<!--',
    '-->',
    ']',
    '[',
    ',',
    ')',
    ';',
    '\\u0041',
    '\\x',
    '\\`',
    '__proto__',
    ' ',
  ],
);

/** Texts that end a string, a template, a comment or a list if they are not escaped. */
const hostileText = fc
  .array(fc.oneof(PIECE, fc.string({ unit: 'binary', maxLength: 5 })), { maxLength: 12 })
  .map((parts) => parts.join(''));

const reasons = fc
  .array(fc.tuple(fc.oneof(hostileText.filter(isNoNumber), fc.constant('__proto__')), hostileText), {
    minLength: 1,
    maxLength: 3,
  })
  .map((pairs) => Object.fromEntries(pairs));

/** Keys that are numbers come first in an object, wherever they are written. */
function isNoNumber(text: string): boolean {
  return !/^\d+$/.test(text);
}

export const hostileEntries: fc.Arbitrary<IndexEntry[]> = fc.array(
  fc.record(
    {
      name: hostileText,
      sql: hostileText,
      description: hostileText,
      critical: fc.constant(true),
      serves: fc.array(hostileText, { minLength: 1, maxLength: 3 }),
      onDrift: fc.constantFrom('report' as const, 'rebuild' as const),
      accept: reasons,
      constraint: fc.record(
        { name: hostileText, type: fc.constantFrom('unique' as const, 'primary key' as const) },
        { noNullPrototype: true },
      ),
    },
    { requiredKeys: ['name', 'sql', 'description'], noNullPrototype: true },
  ),
  { maxLength: 4 },
);
