import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type FailureGroup, groupFailures, groupLines } from '../../lambdas/shared/failure-groups.ts';
import type { IndexReport } from '../../lambdas/shared/report-schema.ts';
import { failedIndex, ofCauses, onMissingTables } from './failures.ts';

const failing = (message: string, more: Partial<IndexReport> = {}) =>
  failedIndex('idx_a', { error: { sqlstate: null, message }, ...more });

const sizes = (groups: readonly FailureGroup[]) => groups.map(({ indexes }) => indexes.length);

describe('failures have the same cause', () => {
  test.each<
    [
      string,
      [Partial<IndexReport> & { name: string }, string],
      [Partial<IndexReport> & { name: string }, string],
    ]
  >([
    [
      'if only the quoted names differ',
      [{ name: 'a', table: 'x' }, 'Index a: relation "public.x" does not exist (SQLSTATE 42P01)'],
      [{ name: 'b', table: 'y' }, 'Index b: relation "public.y" does not exist (SQLSTATE 42P01)'],
    ],
    [
      'if only names without quotes differ, also those that are English words',
      [{ name: 'a', table: 'orders' }, 'Index a: must be owner of table orders (SQLSTATE 42501)'],
      [{ name: 'b', table: 'table' }, 'Index b: must be owner of table table (SQLSTATE 42501)'],
    ],
    [
      'if only the schema differs',
      [{ name: 'a', schema: 'crm' }, 'Index crm.a: permission denied for schema crm (SQLSTATE 42501)'],
      [
        { name: 'b', schema: 'Buchhaltung' },
        'Index Buchhaltung.b: permission denied for schema Buchhaltung (SQLSTATE 42501)',
      ],
    ],
    [
      'if only the values and the columns of the detail differ',
      [
        { name: 'a', table: 'users' },
        'Index a: could not create unique index "a" Detail: Key (lower(email))=(o\'hara@example.com) is duplicated. (SQLSTATE 23505)',
      ],
      [
        { name: 'b', table: 'teams' },
        'Index b: could not create unique index "b" Detail: Key (tenant, name)=(7, (x "y) is duplicated. (SQLSTATE 23505)',
      ],
    ],
    [
      'if only one of them has a hint',
      [{ name: 'a' }, 'Index a: column "colour" does not exist (SQLSTATE 42703)'],
      [
        { name: 'b' },
        'Index b: column "statsu" does not exist Hint: Perhaps you meant "status". (SQLSTATE 42703)',
      ],
    ],
    [
      'if only the function and its types differ',
      [{ name: 'a' }, 'Index a: function norm(text) does not exist (SQLSTATE 42883)'],
      [{ name: 'b' }, 'Index b: function fold(integer, text) does not exist (SQLSTATE 42883)'],
    ],
    [
      'if only the partitions differ',
      [
        { name: 'a', table: 'events' },
        'Index a @ events_may: could not extend file "base/1/2": No space left on device (SQLSTATE 53100)',
      ],
      [
        { name: 'b', table: 'logs' },
        'Index b @ logs_june: could not extend file "base/3/4": No space left on device (SQLSTATE 53100)',
      ],
    ],
    [
      'if the same session blocks them, however old its transaction is',
      [
        { name: 'a', table: 'x' },
        'Could not acquire the lock on table x within 3 s. Blocked by pid 77 (psql, idle in transaction, transaction open for 9 s).',
      ],
      [
        { name: 'b', table: 'y' },
        'Could not acquire the lock on table y within 30 s. Blocked by pid 77 (psql, active, transaction open for 4711 s), pid 78 (app, active).',
      ],
    ],
    [
      'if a function ended, whatever the id of the request was',
      [
        { name: 'a' },
        'Sandbox.Timedout: RequestId: 3f2b8f6e-7c1d-4a0b-9f3e-abcdefabcdef Error: Task timed out after 900.00 seconds',
      ],
      [
        { name: 'b' },
        'Sandbox.Timedout: RequestId: aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee Error: Task timed out after 900.01 seconds',
      ],
    ],
    ['if no error is known', [{ name: 'a', error: null }, ''], [{ name: 'b', error: null }, '']],
    [
      'if only the names in another language differ',
      [{ name: 'a', table: 'x' }, 'Index a: Relation »public.x« existiert nicht (SQLSTATE 42P01)'],
      [{ name: 'b', table: 'y' }, 'Index b: Relation »public.y« existiert nicht (SQLSTATE 42P01)'],
    ],
  ])('%s', (_case, [a, messageOfA], [b, messageOfB]) => {
    expect(sizes(groupFailures([failing(messageOfA, a), failing(messageOfB, b)]))).toEqual([2]);
  });

  test.each<[string, string, string]>([
    ['different sentences', 'relation "a" does not exist', 'column "a" does not exist'],
    ['different SQLSTATEs', 'it failed (SQLSTATE 53100)', 'it failed (SQLSTATE 53200)'],
    [
      'different sessions that block',
      'Could not acquire the lock on table t within 3 s. Blocked by pid 77 (psql, active).',
      'Could not acquire the lock on table t within 3 s. Blocked by pid 78 (psql, active).',
    ],
    [
      'a session that blocks, and none',
      'Could not acquire the lock on table t within 3 s. Blocked by pid 77 (psql, active).',
      'Could not acquire the lock on table t within 3 s.',
    ],
  ])('not with %s', (_case, a, b) => {
    expect(sizes(groupFailures([failing(a), failing(b, { name: 'idx_b' })]))).toEqual([1, 1]);
  });
});

describe('groups', () => {
  test('with critical indexes come first, then those with the most indexes; a critical index is the first of its group', () => {
    const many = onMissingTables(198);
    const some = ofCauses(3, 1);
    const critical = failing('no privilege', { name: 'idx_key', critical: true });
    const groups = groupFailures([...some, ...many, failing('no privilege'), critical]);

    expect(sizes(groups)).toEqual([2, 198, 3]);
    expect(groups[0]?.indexes[0]).toBe(critical);
    expect(groupLines(groups, { lines: 20 })).toEqual([
      'no privilege: 2 indexes, 1 of them critical, the first: idx_key on deals, idx_a on deals',
      'relation "public.missing_0" does not exist (SQLSTATE 42P01): 198 indexes, the first: ' +
        'idx_missing_0 on missing_0, idx_missing_1 on missing_1, idx_missing_2 on missing_2',
      'cause a of "idx_0" (SQLSTATE XX000): 3 indexes, the first: idx_0 on deals, idx_1 on deals, idx_2 on deals',
    ]);
  });

  test.each([
    [1, 1, 1],
    [2, 1, 1],
    [20, 3, 3],
    [21, 25, 20],
    [200, 1, 1],
    [200, 3, 3],
    [200, 25, 20],
    [2000, 25, 20],
    [2000, 2000, 20],
  ])('%i failures of %i causes have %i lines, whose counts add up', (count, causes, lines) => {
    const shown = groupLines(groupFailures(ofCauses(count, causes)), { lines: 20 });
    expect(shown).toHaveLength(lines);
    expect(total(shown)).toBe(count);
  });

  test('the last line counts what has no room, with its critical indexes', () => {
    const lines = groupLines(groupFailures(ofCauses(200, 200, { critical: true })), { lines: 3 });
    expect(lines.at(-1)).toBe('and 198 more causes: 198 indexes, 198 of them critical');
  });

  test('a message of 8 KB is shortened, and no character is cut', () => {
    const name = `i${'索'.repeat(20)}😀`.slice(0, 63);
    const [line = ''] = groupLines(
      groupFailures([1, 2].map((n) => failing('😀'.repeat(2_000), { name: `${name}${n}` }))),
      { lines: 20 },
    );
    expect(line).toMatch(/^(😀)+…: 2 indexes, the first: /u);
    expect(line.length).toBeLessThan(1_000);
    expect(line.isWellFormed()).toBe(true);
  });
});

/** The sum of the counts in the lines of a list. */
function total(lines: readonly string[]): number {
  return lines.reduce((sum, line) => {
    const count = /: (\d+) (?:critical )?index/.exec(line)?.[1];
    return sum + Number(count ?? 1);
  }, 0);
}

test('whatever fails, no index is lost, the counts add up, and the limits hold', () => {
  const word = fc.oneof(
    fc.constantFrom(
      'relation',
      'table',
      'does',
      'not',
      '"x',
      'exist',
      "'",
      'pid 7',
      '(',
      ')',
      '索引',
      '😀',
      '.*',
      '\n- ',
    ),
    fc.string({ unit: 'binary', maxLength: 12 }),
  );
  const name = fc.oneof(
    fc.string({ unit: 'grapheme', minLength: 1, maxLength: 15 }),
    fc.constantFrom('table', 'a', '索'.repeat(21), '(', '$1'),
  );
  const index = fc.record({
    name,
    table: name,
    schema: fc.constantFrom('public', 'crm', 'table'),
    critical: fc.boolean(),
    error: fc.option(
      fc.record({
        sqlstate: fc.option(fc.constantFrom('42P01', '23505')),
        message: fc.array(word, { maxLength: 30 }).map((words) => words.join(' ')),
      }),
    ),
  });
  fc.assert(
    fc.property(
      fc.array(index, { maxLength: 60 }),
      fc.integer({ min: 1, max: 20 }),
      fc.integer({ min: 200, max: 40_000 }),
      (parts, lines, bytes) => {
        const failed = parts.map((part) => failedIndex(part.name, part));
        const groups = groupFailures(failed);
        const members = groups.flatMap((group) => group.indexes);
        expect(members).toHaveLength(failed.length);
        expect(new Set(members)).toEqual(new Set(failed));
        expect(groups.reduce((sum, group) => sum + group.critical, 0)).toBe(
          failed.filter((one) => one.critical).length,
        );
        const firstWithout = groups.findIndex((group) => group.critical === 0);
        expect(
          groups
            .slice(firstWithout === -1 ? groups.length : firstWithout)
            .every((group) => group.critical === 0),
        ).toBe(true);

        expect(groupLines(groups, { lines }).every((line) => !line.includes('\n'))).toBe(true);
        const text = groupLines(groups, { lines, bytes }, (group) => [
          `${group.indexes.length}: ${group.message}`,
        ]);
        expect(text.length).toBeLessThanOrEqual(lines);
        expect(Buffer.byteLength(text.join('\n'))).toBeLessThanOrEqual(bytes);
        expect(text.every((line) => !line.includes('\n'))).toBe(true);
        const rest = /^and \d+ more causes?: (\d+) index/.exec(text.at(-1) ?? '')?.[1];
        const counted = text
          .slice(0, rest === undefined ? undefined : -1)
          .reduce((sum, line) => sum + Number.parseInt(line, 10), Number(rest ?? 0));
        expect(counted).toBe(failed.length);
      },
    ),
    { numRuns: 300 },
  );
});
