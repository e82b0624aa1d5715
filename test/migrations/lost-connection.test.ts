import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { migrate } from '../support/migrate.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForRows } from '../support/waits.ts';

/*
 * The connection of run-migrations is lost before and during COMMIT. To hold a COMMIT open, the server waits for a standby that
 * does not exist: the transaction is committed on the server, and the client has no answer yet.
 */

const FILES = {
  '0001_a': 'create table a ();',
  '0002_b': 'lock table gate in access exclusive mode;\ncreate table b ();',
};
const SESSION = "application_name = 'pg-deploy-step migrate'";

onEachMajor('a lost connection', (major) => {
  let server: EmbeddedPostgres;
  let database: TestDatabase;
  let folder: string;
  let gate: Client;

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ major });
  });
  afterAll(async () => await server.stop('immediate'));

  beforeEach(async () => {
    database = await createDatabase({ adminUrl: server.url() });
    await database.query('create table gate ()');
    folder = mkdtempSync(join(tmpdir(), 'pg-deploy-step-lost-'));
    gate = await connect(database.url);
    await gate.query('begin');
    await gate.query('lock table gate');
  });
  afterEach(async () => {
    await holdCommits(false);
    await gate.end();
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
  });

  async function holdCommits(hold: boolean): Promise<void> {
    const admin = await connect(server.url());
    try {
      // ALTER SYSTEM writes a file, and waits for no standby.
      await admin.query(
        hold ? "alter system set synchronous_standby_names = 'nowhere'" : 'alter system reset all',
      );
      await admin.query('select pg_reload_conf()');
    } finally {
      await admin.end();
    }
  }

  const run = async (deploy: string) =>
    await migrate({ databaseUrl: database.url, folder, migrations: FILES, deploy });
  const waitForSession = async (condition: string) =>
    await waitForRows(
      database,
      `select from pg_stat_activity where datname = current_database() and ${SESSION} and ${condition}`,
    );
  const terminate = async () =>
    await database.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and ${SESSION}`,
    );

  test('during COMMIT, after the server has committed: the migrations are reported as applied', async () => {
    const running = run('deploy-1');
    await waitForSession("wait_event_type = 'Lock'");
    await holdCommits(true);
    await waitForRows(database, "select where current_setting('synchronous_standby_names') = 'nowhere'");
    await gate.query('rollback');
    await waitForSession("wait_event = 'SyncRep'");
    await terminate();

    expect(await running).toEqual({
      ...{ status: 'applied', applied: ['0001_a', '0002_b'], pending: [], failure: null },
    });
  });

  test('before COMMIT: nothing is applied, and the next attempt applies everything', async () => {
    const running = run('deploy-1');
    running.catch(() => {});
    await waitForSession("wait_event_type = 'Lock'");
    await terminate();

    await expect(running).rejects.toMatchObject({ name: 'ConnectionLost' });
    expect(await database.query("select from pg_tables where tablename in ('a', 'b')")).toEqual([]);
    await gate.query('rollback');
    expect(await run('deploy-1')).toMatchObject({ status: 'applied', applied: ['0001_a', '0002_b'] });
  });

  test('during COMMIT, and the server rolls back: another attempt is made', async () => {
    await database.query(
      `create function lose() returns trigger language plpgsql as
         $$ begin perform pg_terminate_backend(pg_backend_pid()); return null; end $$;
       create table trap (); create constraint trigger lose after insert on trap deferrable initially deferred
         for each row execute function lose()`,
    );
    await gate.query('rollback');
    const running = migrate({
      ...{ databaseUrl: database.url, folder, deploy: 'deploy-1' },
      migrations: { ...FILES, '0003_c': 'insert into trap default values;' },
    });

    await expect(running).rejects.toMatchObject({ name: 'ConnectionLost' });
    expect(await database.query('select from pgmigrations')).toEqual([]);
  });
});
