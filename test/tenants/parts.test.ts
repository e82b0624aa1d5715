import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { buildsOfPart, partsOf, splitBuilds } from '../../lambdas/postgres/batches.ts';
import { tableKey } from '../../lambdas/postgres/identifiers.ts';
import type { PlannedBuild } from '../../lambdas/postgres/planned-build.ts';
import { inSchema } from '../../lambdas/shared/registry.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';

const [ENTRY] = await compileRegistry(
  [
    {
      name: 'idx',
      sql: 'create index concurrently if not exists idx on orders (id)',
      description: 'of a test',
      schemas: ['*'],
    },
  ],
  'the test',
);
if (ENTRY === undefined) throw new Error('The registry has no entry.');
const entry = ENTRY;

interface Facts {
  readonly schema: string;
  readonly name: string;
  readonly critical: boolean;
  readonly isSmall: boolean;
  readonly wasTried: boolean;
}

/** Names in which a key without separators would be ambiguous. */
const facts: fc.Arbitrary<Facts> = fc.record({
  schema: fc.constantFrom('a', 'a.b', 'A', 'tenant_1', 'tenant_11', 'tenant "x"', '["a"', 'ü'),
  name: fc.constantFrom('idx', 'b.idx', '1_idx'),
  critical: fc.boolean(),
  isSmall: fc.boolean(),
  wasTried: fc.boolean(),
});

function buildOf({ schema, name, critical, isSmall }: Facts): PlannedBuild {
  const index = { ...inSchema(entry, schema), name, critical };
  return { index, item: `${schema}.${name}`, table: { schema, table: 'orders' }, isSmall };
}

const manyFacts = fc.array(facts, { maxLength: 80 });
const tablesOf = (builds: readonly PlannedBuild[]) => new Set(builds.map(({ table }) => tableKey(table)));

describe('the division of builds', () => {
  test('no table is both in a batch and in a lane, and no build is lost', () => {
    fc.assert(
      fc.property(manyFacts, (all) => {
        const builds = all.map(buildOf);
        const tried = new Set(builds.filter((_, at) => all[at]?.wasTried));
        const { batched, inLanes } = splitBuilds(builds, (build) => tried.has(build));

        expect([...batched, ...inLanes].toSorted(byPlace(builds))).toEqual(builds);
        const inBatches = tablesOf(batched);
        expect([...tablesOf(inLanes)].filter((table) => inBatches.has(table))).toEqual([]);
        expect(batched.every((build) => build.isSmall && !tried.has(build))).toBe(true);
      }),
    );
  });

  test('each build belongs to exactly one part, all builds of a table to the same one, the critical ones first', () => {
    fc.assert(
      fc.property(manyFacts, fc.integer({ min: 1, max: 20 }), (all, most) => {
        const builds = all.map(buildOf);
        const parts = partsOf(builds, most);
        const divided = parts.map((part) => buildsOfPart(builds, part));

        expect(parts.map((part) => part.builds)).toEqual(divided.map((some) => some.length));
        expect(parts.length).toBeLessThanOrEqual(most);
        if (builds.length < 10) expect(parts).toEqual([]);
        else expect(divided.flat().toSorted(byPlace(builds))).toEqual(builds);
        const tables = divided.map(tablesOf);
        expect(tables.reduce((sum, { size }) => sum + size, 0)).toBe(
          parts.length === 0 ? 0 : tablesOf(builds).size,
        );
        for (const some of divided) {
          const firstOther = some.findIndex(({ index }) => !index.critical);
          expect(
            firstOther === -1 ? [] : some.slice(firstOther).filter(({ index }) => index.critical),
          ).toEqual([]);
        }
      }),
    );
  });

  test('100,000 builds are as many parts as may run at the same time, of about the same size', () => {
    const builds = Array.from({ length: 100_000 }, (_, at) =>
      buildOf({
        schema: `tenant_${at % 5_000}`,
        name: 'idx',
        critical: false,
        isSmall: true,
        wasTried: false,
      }),
    );
    const parts = partsOf(builds, 4);

    expect(parts.map(({ part, of }) => [part, of])).toEqual([
      [0, 4],
      [1, 4],
      [2, 4],
      [3, 4],
    ]);
    for (const part of parts) expect(part.builds).toBeGreaterThan(20_000);
  });
});

function byPlace(builds: readonly PlannedBuild[]): (a: PlannedBuild, b: PlannedBuild) => number {
  const places = new Map(builds.map((build, at) => [build, at]));
  return (a, b) => (places.get(a) ?? -1) - (places.get(b) ?? -1);
}
