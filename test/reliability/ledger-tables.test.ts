import { expect, test } from 'vitest';
import { databaseOf, withClient } from '../../lambdas/postgres/client.ts';
import { ensureLedger } from '../../lambdas/postgres/ledger.ts';
import { endMigrations } from '../../lambdas/postgres/migration-ends.ts';
import { ensureMigrationRecord } from '../../lambdas/postgres/migration-record.ts';
import { recordScans } from '../../lambdas/postgres/recorded-scans.ts';
import type { TestDatabase } from '../support/database.ts';
import { onEachMajor } from '../support/servers.ts';
import { useDatabase } from '../support/suite-database.ts';

// Another default_table_access_method may not support updates.
onEachMajor('tables of deploy_step', (major) => {
  let database: TestDatabase;
  useDatabase(major, 'select', (opened) => {
    database = opened;
  });

  test('the tables of deploy_step are heap tables, whatever the default access method is', async () => {
    await database.query(`
      create access method other type table handler heap_tableam_handler;
      alter database ${database.name} set default_table_access_method = other`);
    await withClient(databaseOf({ DATABASE_URL: database.deployUrl }), 'test', async (client) => {
      await ensureLedger(client);
      await ensureMigrationRecord(client);
      await recordScans(client);
      await endMigrations(client, { environment: 'test', at: new Date().toISOString() });
    });
    const tables = await database.query(
      "select relname, amname from pg_class c join pg_am a on a.oid = c.relam where relnamespace = 'deploy_step'::regnamespace and relkind = 'r' order by relname",
    );
    expect(tables).toEqual([
      { relname: 'applied_migrations', amname: 'heap' },
      { relname: 'index_builds', amname: 'heap' },
      { relname: 'index_scans', amname: 'heap' },
      { relname: 'migration_ends', amname: 'heap' },
    ]);
  });
});
