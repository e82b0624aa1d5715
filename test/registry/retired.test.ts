import { describe, expect, test } from 'vitest';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';

const ENTRY = {
  name: 'idx_a',
  sql: 'create index concurrently if not exists idx_a on t (a)',
  description: 'For a test',
};
const RETIRED = { since: '2026-11-22', reason: 'idx_b serves its queries' };

const refusal = async (entry: object): Promise<string> =>
  await compileRegistry([{ ...ENTRY, ...entry }], 'indexes.ts').then(
    () => 'not refused',
    (error: Error) => error.message,
  );

describe('a retired entry', () => {
  test('is compiled with its date and its reason, and is not forced', async () => {
    const [entry] = await compileRegistry([{ ...ENTRY, retired: RETIRED }], 'indexes.ts');
    expect(entry?.retired).toEqual({ ...RETIRED, force: false });
  });

  test.each([
    [
      'a date that does not exist',
      { retired: { ...RETIRED, since: '2026-02-30' } },
      /retired\.since: it must be the date/,
    ],
    [
      'another form of the date',
      { retired: { ...RETIRED, since: '22.11.2026' } },
      /retired\.since: it must be the date/,
    ],
    ['no reason', { retired: { since: '2026-11-22' } }, /retired\.reason: it must say in a sentence/],
    [
      'an empty reason',
      { retired: { ...RETIRED, reason: ' ' } },
      /retired\.reason: it must say in a sentence/,
    ],
    [
      'a force that is no boolean',
      { retired: { ...RETIRED, force: 'yes' } },
      /retired\.force: it must be true or false/,
    ],
    [
      'another field',
      { retired: { ...RETIRED, until: 1 } },
      /retired\.until: unknown field; valid fields: since, reason, force/,
    ],
    ['a text', { retired: '2026-11-22' }, /retired: it must be \{ since, reason \}, with a date such as/],
    [
      'critical',
      { critical: true, retired: RETIRED },
      /critical: a retired index is not critical; remove either/,
    ],
  ])('is refused with %s', async (_what, entry, message) => {
    expect(await refusal(entry)).toMatch(message);
  });

  test('is refused with a constraint, which a migration drops', async () => {
    const sql = 'create unique index concurrently if not exists idx_a on t (a)';
    const constraint = { name: 't_a_key', type: 'unique' };
    expect(await refusal({ sql, constraint, retired: RETIRED })).toMatch(
      /retired: the index of a constraint cannot be retired; drop the constraint in a migration/,
    );
  });
});
