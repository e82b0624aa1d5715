import fc from 'fast-check';
import { expect, test } from 'vitest';
import { MAX_IDENTIFIER_BYTES } from '../../lambdas/postgres/identifiers.ts';
import { deadName, replacementName, replacementPrefix } from '../../lambdas/postgres/index-names.ts';
import { partitionIndexName } from '../../lambdas/postgres/partition-tree.ts';
import { pauseFor } from '../../lambdas/postgres/running-builds.ts';
import { NO_REFERENCES } from '../support/references.ts';

const name = fc.string({ unit: 'grapheme', minLength: 1, maxLength: 63 });

test('the name of an index on a partition is short enough, well-formed and unique for each pair', () => {
  fc.assert(
    fc.property(name, name, name, (index, table, otherTable) => {
      const nameOn = (on: string) =>
        partitionIndexName(
          {
            ...{ schema: 'public', name: index, table: 't', unique: false, definition: 'USING btree (a)' },
            ...{ partial: false, expression: false, critical: false, description: '' },
            ...{ serves: [], onDrift: 'report', entryId: index, references: NO_REFERENCES },
          },
          { schema: 'public', table: on },
        );

      expect(Buffer.byteLength(nameOn(table))).toBeLessThanOrEqual(MAX_IDENTIFIER_BYTES);
      expect(nameOn(table).isWellFormed()).toBe(true);
      expect(nameOn(table) === nameOn(otherTable)).toBe(table === otherTable);
    }),
  );
});

test('temporary names are short enough, also with a suffix, and differ for different definitions', () => {
  fc.assert(
    fc.property(name, name, (schema, index) => {
      const one = { schema, name: index, unique: false, definition: 'USING btree (a)' };
      const names = [one, { ...one, unique: true }, { ...one, definition: 'USING btree (b)' }].map(
        replacementName,
      );

      expect(new Set(names).size).toBe(3);
      for (const each of names) {
        expect(each.startsWith(replacementPrefix(one))).toBe(true);
        expect(Buffer.byteLength(each)).toBeLessThanOrEqual(MAX_IDENTIFIER_BYTES);
      }
      // The greatest oid has 10 digits.
      expect(Buffer.byteLength(`${deadName(one)}_4294967295`)).toBeLessThanOrEqual(MAX_IDENTIFIER_BYTES);
    }),
  );
});

test('the pause before the next check is at least 2 whole seconds, and at most a tenth of the time so far', () => {
  const progress = fc.option(
    fc.record({
      pid: fc.nat(),
      phase: fc.constant('building index'),
      fraction: fc.option(fc.double({ min: 0, max: 1, noNaN: true })),
    }),
    { nil: undefined },
  );
  fc.assert(
    fc.property(progress, fc.double({ min: 0, max: 7 * 86_400, noNaN: true }), (seen, seconds) => {
      const pause = pauseFor(seen, seconds);

      expect(Number.isInteger(pause)).toBe(true);
      expect(pause).toBeGreaterThanOrEqual(2);
      expect(pause).toBeLessThanOrEqual(Math.max(2, Math.round(seconds / 10)));
    }),
  );
});

test('a build near the end of a phase is checked sooner', () => {
  const at = (fraction: number) => pauseFor({ pid: 1, phase: 'building index', fraction }, 240);

  expect(at(0.95)).toBeLessThan(at(0.5));
});
