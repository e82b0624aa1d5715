import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { lintMigrations } from '../../lib/lint/lint-migrations.ts';
import { RegisteredIndexes } from '../../lib/registry/registered-indexes.ts';

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'start-after-'));
  for (const name of ['0001_tables', '0002_a', '0002_b', '0003_rows']) {
    writeFileSync(join(folder, `${name}.sql`), `create index i_${name} on t (a);\n`);
  }
});
afterAll(() => rmSync(folder, { recursive: true }));

async function linted(startAfter: string): Promise<number> {
  const registered = new RegisteredIndexes([]);
  return (await lintMigrations({ paths: [folder], startAfter, registered, onProgress: () => {} })).findings
    .length;
}

test.each([
  ['0001', 3],
  ['0002_a', 2],
  ['0002_b', 1],
  ['0003_rows.sql', 0],
])(
  'a migration to start after can be named by a beginning that no other one has: %s',
  async (name, findings) => {
    expect(await linted(name)).toBe(findings);
  },
);

test('a beginning that several migrations have is refused, with their names', async () => {
  await expect(linted('0002')).rejects.toThrow(
    /0002_a\.sql.*0002_b\.sql begin with "0002"\. Write more of its name\./,
  );
});
