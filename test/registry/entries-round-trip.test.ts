import fc from 'fast-check';
import { expect, test } from 'vitest';
import { appendEntries } from '../../lib/registry/append-entries.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { newRegistryFile } from '../../lib/registry/registry-text.ts';

const piece = fc.constantFrom(
  "'",
  '"',
  '`',
  '\\',
  '${',
  '}',
  '\n',
  '\r\n',
  '\r',
  '\t',
  '\u2028',
  '\0',
  '1',
  '//',
  '*/',
  ']',
  ',',
);
const text = fc
  .array(fc.oneof(piece, fc.string({ unit: 'binary', maxLength: 5 }), fc.constant('\ud800')), {
    maxLength: 12,
  })
  .map((parts) => parts.join(''));
const reasons = fc.array(fc.tuple(fc.oneof(text, fc.constant('__proto__')), text), {
  minLength: 1,
  maxLength: 3,
});

const entry: fc.Arbitrary<IndexEntry> = fc.record(
  {
    name: text,
    sql: text,
    description: text,
    critical: fc.constant(true),
    serves: fc.array(text, { minLength: 1, maxLength: 3 }),
    onDrift: fc.constantFrom('report' as const, 'rebuild' as const),
    accept: reasons.map((pairs) => Object.fromEntries(pairs)),
  },
  { requiredKeys: ['name', 'sql', 'description'], noNullPrototype: true },
);

/** Code after the list that must not be read as a part of it. */
const AROUND = `
const pattern = /[/'\`]/g; // ']
const more = \`\${[\`a\`, '}'].length}]\`;
`;

async function load(module: string): Promise<unknown> {
  const bare = module.replace(/^import .*$/m, 'const defineIndexes = (entries) => entries;');
  return (await import(`data:text/javascript;base64,${Buffer.from(bare).toString('base64')}`)).default;
}

test('entries with any text are read from a module unchanged', async () => {
  const lists = fc.array(entry, { minLength: 1, maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(lists, lists, async (first, second) => {
      const file = newRegistryFile(first, 'ts') + AROUND;
      expect(await load(appendEntries(file, 'ts', second))).toEqual([...first, ...second]);
    }),
    { numRuns: 300 },
  );
});

test('entries with any text are read from JSON unchanged, and the entries before them stay', () => {
  const lists = fc.array(entry, { minLength: 1, maxLength: 4 });
  fc.assert(
    fc.property(lists, lists, fc.nat(4), (first, second, indent) => {
      const file = JSON.stringify(first, null, indent);
      const appended = appendEntries(file, 'json', second);
      expect(JSON.parse(Buffer.from(appended).toString())).toEqual([...first, ...second]);
      expect(appended.startsWith(file.slice(0, -1).trimEnd())).toBe(true);
    }),
    { numRuns: 300 },
  );
});
