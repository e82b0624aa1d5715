import { mkdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder, type EndedCommand } from '../support/command.ts';
import { blocksOf, commandsOf } from './support/page-blocks.ts';

/*
 * docs/migration-tools: what lint says about the SQL of the tools, with the commands and the comments of the pages.
 */

let place: CommandFolder;
beforeEach(() => {
  place = createCommandFolder();
  write('database/indexes.ts', 'export default [];\n');
});
afterEach(() => place.remove());

function write(name: string, text: string): void {
  mkdirSync(place.file(name.replace(/\/[^/]*$/, '')), { recursive: true });
  writeFileSync(place.file(name), text);
}

/** What `alembic upgrade --sql` and `manage.py sqlmigrate` print. */
const PRINTED = {
  alembic: `BEGIN;

-- Running upgrade 1975ea83b712 -> 27c6a30d7c24

CREATE INDEX ix_orders_status ON orders (status);

UPDATE alembic_version SET version_num='27c6a30d7c24' WHERE alembic_version.version_num = '1975ea83b712';

COMMIT;
`,
  django: `BEGIN;
--
-- Create index idx_orders_status on field(s) status of model order
--
CREATE INDEX "ix_orders_status" ON "orders_order" ("status");
COMMIT;
`,
};

describe.each(['alembic', 'django'] as const)('%s', (tool) => {
  async function lintAsOnThePage(sql: string): Promise<EndedCommand> {
    const command = commandsOf(`docs/migration-tools/${tool}.md`).find((one) => one.includes(' lint '));
    const args = (command ?? '').split(' ').slice(2);
    writeFileSync(place.file('new.sql'), sql);
    return await place.run(...args.map((arg) => (arg === '/tmp/new.sql' ? place.file('new.sql') : arg)));
  }

  test('an index in its SQL is refused, with the entry, and its transaction is not', async () => {
    const { exitCode, stdout } = await lintAsOnThePage(PRINTED[tool]);

    expect(exitCode).toBe(1);
    expect(stdout).toContain('create index concurrently if not exists ix_orders_status');
    expect(stdout).toContain('1 error, 0 warnings');
  });

  test('SQL without an index is accepted', async () => {
    const sql = PRINTED[tool].replace(/CREATE INDEX .*/, 'ALTER TABLE orders ADD COLUMN note text;');

    expect((await lintAsOnThePage(sql)).exitCode).toBe(0);
  });
});

describe('prisma', () => {
  async function lintMigration(sql: string): Promise<EndedCommand> {
    write('prisma/migrations/migration_lock.toml', 'provider = "postgresql"\n');
    write('prisma/migrations/20260101000000_users/migration.sql', sql);
    return await place.run(
      'lint',
      '--indexes',
      'database/indexes.ts',
      '--migrations',
      'prisma/migrations',
      '--strict',
    );
  }

  test('the comment of the page allows the index that the release before has built, and nothing else does', async () => {
    const [allowed = ''] = blocksOf('docs/migration-tools/prisma.md', 'sql');
    expect(await lintMigration(allowed)).toMatchObject({ exitCode: 0 });

    const { exitCode, stdout } = await lintMigration(allowed.replace(/^-- .*\n/, ''));
    expect(exitCode).toBe(1);
    expect(stdout).toContain('create-index');
  });

  test('DROP INDEX, as migrate dev writes it for an index that is not in the schema, is refused', async () => {
    const { exitCode, stdout } = await lintMigration('-- DropIndex\nDROP INDEX "User_email_key";\n');

    expect(exitCode).toBe(1);
    expect(stdout).toContain('drop-index');
  });
});
