import fc from 'fast-check';
import { expect, test } from 'vitest';
import { confusableWith, parseItem, partitionItem } from '../../lambdas/shared/build-item.ts';
import { type CompiledIndex, indexId, tableId } from '../../lambdas/shared/registry.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { NO_REFERENCES } from '../support/references.ts';

/** Names that contain the parts of which items consist. */
const name = fc
  .array(fc.constantFrom('a', 'b', '.', ' ', '@', ' @ ', '"', 'ü', 'public'), { minLength: 1, maxLength: 5 })
  .map((parts) => parts.join(''));
const schema = fc.oneof(fc.constant('public'), name);

function indexOf([inSchema, itsName]: [string, string]): CompiledIndex {
  return {
    references: NO_REFERENCES,
    entryId: indexId({ schema: inSchema, name: itsName }),
    ...{ schema: inSchema, name: itsName, table: 't', unique: false, definition: 'USING btree (a)' },
    ...{ partial: false, expression: false, critical: false, description: '', serves: [], onDrift: 'report' },
  };
}

test('every item is parsed into its index and its partition, whatever their names', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.tuple(schema, name), {
        minLength: 1,
        maxLength: 6,
        selector: (one) => one.join('\0'),
      }),
      fc.record({ schema, table: name }),
      (names, partition) => {
        const all = names.map(indexOf);
        const registry = all.filter((index) => confusableWith(index, all) === undefined);
        for (const index of registry) {
          expect(parseItem(registry, indexId(index))).toEqual({ index, partition: null });
          expect(parseItem(registry, partitionItem(index, partition))).toEqual({
            index,
            partition: tableId(partition),
          });
        }
      },
    ),
    { numRuns: 2_000 },
  );
});

test('an item without an index in the registry is refused with the valid names', () => {
  expect(() => parseItem([indexOf(['public', 'a'])], 'b @ c')).toThrow(
    'Index "b @ c" is not in the registry. Valid names: a.',
  );
});

test.each([
  ['"a.b" on t', 'b on a.t', 'a.b', 'b'],
  ['a on t', '"a @ b" on t', 'a', 'a @ b'],
])('two indexes whose items could be confused are refused: %s and %s', async (one, two, oneName, twoName) => {
  const entry = (named: string, text: string) => ({
    name: named,
    description: 'd',
    sql: `create index concurrently if not exists ${text} (x)`,
  });

  await expect(compileRegistry([entry(oneName, one), entry(twoName, two)], 'f')).rejects.toThrow(
    'cannot distinguish',
  );
});
