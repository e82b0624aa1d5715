import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import type { IndexEntry } from '../../lib/registry/define-indexes.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { RegistryError, type RegistryProblem } from '../../lib/registry/registry-error.ts';
import { entryText } from '../../lib/registry/registry-text.ts';

const START = 'create unique index concurrently if not exists users_email on';

interface Entry {
  readonly name?: string;
  readonly sql?: string;
  readonly onDrift?: string;
  readonly constraint: unknown;
}

function entry({ sql = `${START} users (email)`, ...rest }: Entry) {
  return { name: 'users_email', sql, description: 'For a test', ...rest };
}

const UNIQUE = { name: 'users_email_key', type: 'unique' };
const PRIMARY_KEY = { name: 'users_pkey', type: 'primary key' };

async function problemsOf(...entries: Entry[]): Promise<readonly RegistryProblem[]> {
  const error = await compileRegistry(entries.map(entry), 'my/indexes.ts').then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (error instanceof RegistryError) return error.problems;
  throw new Error(`Not refused: ${String(error)}`);
}

describe('an entry with a constraint', () => {
  test('compiles to the constraint and the columns of its index', async () => {
    const sql = `${START} app."Users" (email asc nulls last, "Tenant") include (id) nulls not distinct with (fillfactor = 70)`;

    const [index] = await compileRegistry([entry({ sql, constraint: UNIQUE })], 'my/indexes.ts');

    expect(index).toMatchObject({
      name: 'users_email',
      schema: 'app',
      table: 'Users',
      critical: false,
      constraint: {
        name: 'users_email_key',
        type: 'unique',
        columns: ['email', 'Tenant'],
        include: ['id'],
        nullsNotDistinct: true,
      },
    });
  });

  test('can give the constraint the name of the entry', async () => {
    const constraint = { ...PRIMARY_KEY, name: 'users_email' };
    const [index] = await compileRegistry([entry({ constraint })], 'my/indexes.ts');
    expect(index?.constraint).toMatchObject({ name: 'users_email', type: 'primary key' });
  });

  test('is written to a registry as it was read, in TypeScript and in JSON', () => {
    const written = entry({ constraint: UNIQUE }) as IndexEntry;
    expect(JSON.parse(entryText(written, 'json'))).toEqual(written);
    expect(entryText(written, 'ts')).toContain("constraint: { name: 'users_email_key', type: 'unique' },");
  });
});

describe('a registry file', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'constraints-'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  function write(name: string, text: string): string {
    const file = join(folder, name);
    writeFileSync(file, text);
    return file;
  }
  const TEXT = JSON.stringify([entry({ constraint: UNIQUE })], null, 2);

  test('in JSON or a module that is not run has entries with a constraint', async () => {
    for (const file of [write('indexes.json', TEXT), write('indexes.mjs', `export default ${TEXT};`)]) {
      const [index] = await loadRegistry(file, { runCode: false });
      expect(index?.constraint).toMatchObject(UNIQUE);
    }
  });

  test('with a wrong type of a constraint is refused with the place of the type', async () => {
    const file = write('wrong.json', TEXT.replace('"unique"', '"UNIQUE"'));
    const line = TEXT.split('\n').findIndex((text) => text.includes('"type"')) + 1;
    await expect(loadRegistry(file)).rejects.toThrow(
      `wrong.json:${line}:7: entry 1 "users_email": constraint.type: it must be "unique" or "primary key"`,
    );
  });
});

describe('the constraint of an entry is refused', () => {
  test.each([
    [
      'that is a text',
      'unique',
      'constraint',
      'it must be { name, type }, with type "unique" or "primary key"',
    ],
    ['without a name', { type: 'unique' }, 'constraint.name', /must be the name of the constraint/],
    ['with an empty name', { ...UNIQUE, name: '' }, 'constraint.name', /must be the name of the constraint/],
    ['without a type', { name: 'a' }, 'constraint.type', 'it must be "unique" or "primary key"'],
    [
      'with another type',
      { ...UNIQUE, type: 'exclude' },
      'constraint.type',
      'it must be "unique" or "primary key"',
    ],
    [
      'with an unknown field',
      { ...UNIQUE, columns: [] },
      'constraint.columns',
      'unknown field; valid fields: name, type',
    ],
    [
      'that is deferrable',
      { ...UNIQUE, deferrable: true },
      'constraint.deferrable',
      'unknown field; valid fields: name, type; add a deferrable constraint in a migration',
    ],
    [
      'with a name that PostgreSQL truncates',
      { ...UNIQUE, name: 'é'.repeat(32) },
      'constraint.name',
      'it has 64 bytes, and PostgreSQL truncates names to 63 bytes; shorten it',
    ],
  ])('%s', async (_case, constraint, field, message) => {
    expect(await problemsOf({ constraint })).toMatchObject([
      {
        entry: 'entry 1 "users_email"',
        field,
        message: typeof message === 'string' ? message : expect.stringMatching(message),
      },
    ]);
  });

  test.each([
    [
      'is not unique',
      'users (email)',
      /not unique; write create unique index concurrently if not exists users_email/,
    ],
    ['has a WHERE clause', 'users (email) where email is not null', /has a WHERE clause.*remove WHERE/],
    ['has an expression', 'users (lower(email))', /has an expression; name only columns/],
    ['sorts in descending order', 'users (id, email desc)', /column "email" has a collation.*remove DESC/],
    ['sorts NULL first', 'users (email nulls first)', /column "email" has a collation.*NULLS FIRST/],
    ['has an operator class', 'users (email text_pattern_ops)', /column "email".*operator class/],
    ['has a collation', 'users (email collate "C")', /column "email".*COLLATE/],
    ['is not a B-tree', 'users using hash (email)', /uses hash; remove USING, because it must be a B-tree/],
    ['names a column twice', 'users (email, id, email)', /column "email" is listed twice; list it once/],
  ])('if the index %s', async (_case, on, message) => {
    const create = _case === 'is not unique' ? START.replace('unique ', '') : START;
    expect(await problemsOf({ sql: `${create} ${on}`, constraint: UNIQUE })).toMatchObject([
      { rule: 'constraint', field: 'sql', message: expect.stringMatching(message) },
    ]);
  });

  test('if the index of a primary key has NULLS NOT DISTINCT', async () => {
    const sql = `${START} users (email) nulls not distinct`;
    expect(await problemsOf({ sql, constraint: PRIMARY_KEY })).toMatchObject([
      {
        field: 'sql',
        message:
          'it cannot be the index of a primary key: the columns of a primary key are never NULL; remove NULLS NOT DISTINCT',
      },
    ]);
  });

  test('if a drift is to be repaired with a rebuild', async () => {
    expect(await problemsOf({ constraint: UNIQUE, onDrift: 'rebuild' })).toMatchObject([
      { field: 'onDrift', message: expect.stringContaining('drop the old one in a migration') },
    ]);
  });

  test('if another entry has its name, as an index or as a constraint', async () => {
    const sql = 'create index concurrently if not exists users_email_key on orders (id)';
    const named = { name: 'users_email_key', sql, constraint: undefined };
    expect(await problemsOf({ constraint: UNIQUE }, named)).toMatchObject([
      {
        entry: 'entry 1 "users_email"',
        field: 'constraint.name',
        message: expect.stringContaining('entry 2 "users_email_key" uses this name in schema "public" too'),
      },
    ]);
    const other = { name: 'other', sql: `${START.replace('users_email', 'other')} orders (id)` };
    expect(await problemsOf({ constraint: UNIQUE }, { ...other, constraint: UNIQUE })).toMatchObject([
      { entry: 'entry 2 "other"', field: 'constraint.name' },
    ]);
  });

  test('if its table has another primary key in the registry', async () => {
    const sql = `${START.replace('users_email', 'users_id')} users (id)`;
    const second = { name: 'users_id', sql, constraint: { ...PRIMARY_KEY, name: 'users_id_pkey' } };
    expect(await problemsOf({ constraint: PRIMARY_KEY }, second)).toMatchObject([
      {
        entry: 'entry 2 "users_id"',
        field: 'constraint.type',
        message: expect.stringContaining('entry 1 "users_email" is the primary key of table "users" already'),
      },
    ]);
  });
});
