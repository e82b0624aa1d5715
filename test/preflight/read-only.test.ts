import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { QueryResultRow } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../lib/local/embedded-postgres.ts';
import { randomPassword } from '../../lib/local/postgres-cluster.ts';
import { connect, createDatabase, type TestDatabase } from '../support/database.ts';
import { openPreflight } from '../support/open-preflight.ts';
import { onEachMajor } from '../support/servers.ts';
import { waitForRows, waitUntil } from '../support/waits.ts';
import { openTestWorkflow } from '../support/workflow.ts';

const ENTRY = {
  name: 'by_kind',
  sql: 'create index concurrently if not exists by_kind on events (kind)',
  description: 'of a test',
};
const ROLE = 'deployer';

/** Where the setting comes from, the statements that set it there, what the refusal says, and the statements that it shows. */
const ORIGINS: [origin: string, set: string[], where: string, resets: string[]][] = [
  [
    'the role',
    [`alter role ${ROLE} set default_transaction_read_only = on`],
    'set for the role deployer.',
    ['ALTER ROLE "deployer" RESET default_transaction_read_only;'],
  ],
  [
    'the role in the database',
    [`alter role ${ROLE} in database $db set default_transaction_read_only = yes`],
    'set for the role deployer in the database $db.',
    ['ALTER ROLE "deployer" IN DATABASE "$db" RESET default_transaction_read_only;'],
  ],
  [
    'the database',
    ['alter database $db set default_transaction_read_only = 1'],
    'set for the database $db.',
    ['ALTER DATABASE "$db" RESET default_transaction_read_only;'],
  ],
  [
    'all roles',
    ['alter role all set default_transaction_read_only = true'],
    'set for all roles.',
    ['ALTER ROLE ALL RESET default_transaction_read_only;'],
  ],
  [
    'the role, and also the database',
    [
      `alter role ${ROLE} set default_transaction_read_only = on`,
      'alter database $db set default_transaction_read_only = on',
    ],
    'set for the role deployer.',
    [
      'ALTER ROLE "deployer" RESET default_transaction_read_only;',
      'ALTER DATABASE "$db" RESET default_transaction_read_only;',
    ],
  ],
  [
    'the role in the database, although the role itself has it off',
    [
      `alter role ${ROLE} in database $db set default_transaction_read_only = on`,
      `alter role ${ROLE} set default_transaction_read_only = off`,
      'alter role all set default_transaction_read_only = on',
    ],
    'set for the role deployer in the database $db.',
    ['ALTER ROLE "deployer" IN DATABASE "$db" RESET default_transaction_read_only;'],
  ],
];

onEachMajor('a database that accepts no writes', (major) => {
  let server: EmbeddedPostgres;
  let database: TestDatabase;
  let url: string;

  beforeAll(async () => {
    server = await startEmbeddedPostgres({ major, settings: { fsync: 'off' } });
    database = await createDatabase({ adminUrl: server.url() });
    await database.query(
      `create role ${ROLE} login password 'deployer'; grant create on database ${database.name} to ${ROLE};
       grant create on schema public to ${ROLE};
       create table events (kind text); alter table events owner to ${ROLE}`,
    );
    url = Object.assign(new URL(database.url), { username: ROLE, password: 'deployer' }).href;
  });
  afterAll(async () => await server?.stop('immediate'));

  const inThisDatabase = (text: string) => text.replaceAll('$db', database.name);

  /** Runs statements as a person does in psql: in one session, one after the other. */
  async function type(statements: readonly string[]) {
    const client = await connect(database.url);
    try {
      for (const statement of statements) await client.query(statement);
    } finally {
      await client.end();
    }
  }

  test.each(ORIGINS)('is refused with its origin and the statements that change it: %s', async (...row) => {
    const [, set, where, resets] = row;
    const { preflight } = await openPreflight(url, [ENTRY]);
    await type(set.map((statement) => inThisDatabase(statement)));

    for (const mode of ['deploy', 'indexes']) {
      expect(await preflight({ mode })).toMatchObject({
        decision: 'refused',
        refusal: [
          `The database accepts no writes from the role deployer: default_transaction_read_only is on, ${where}`,
          'Nothing can be migrated or built. If nobody needs it any more, turn it off: SET default_transaction_read_only = off;',
          ...resets,
          'Then start the deploy again.',
        ]
          .map(inThisDatabase)
          .join(' '),
      });
    }
    expect(await preflight({ mode: 'plan' })).toMatchObject({ decision: 'plan', refusal: null });
    expect(await preflight({ mode: 'start-services' })).toMatchObject({ decision: 'start-services' });
    expect(await database.query("select to_regnamespace('deploy_step') as ledger")).toEqual([
      { ledger: null },
    ]);

    await type(['SET default_transaction_read_only = off;', ...resets.map(inThisDatabase)]);
    expect(await preflight()).toMatchObject({ decision: 'deploy', refusal: null });

    await type([
      'set default_transaction_read_only = off',
      `alter role ${ROLE} reset all`,
      `alter role ${ROLE} in database ${database.name} reset all`,
      `alter database ${database.name} reset all`,
      'alter role all reset all',
    ]);
  });

  test('is refused with what to do if the configuration of the server sets it', async () => {
    const { preflight } = await openPreflight(url, [ENTRY]);
    await type(['alter system set default_transaction_read_only = on', 'select pg_reload_conf()']);
    await waitUntil('the new configuration', async () => (await preflight()).decision === 'refused');

    expect(await preflight()).toMatchObject({
      refusal: expect.stringMatching(
        /is on, set in the configuration of the server\..* in RDS and Aurora in the parameter group .* ALTER SYSTEM RESET default_transaction_read_only; SELECT pg_reload_conf\(\);/,
      ),
    });

    await type([
      'SET default_transaction_read_only = off',
      'ALTER SYSTEM RESET default_transaction_read_only',
      'SELECT pg_reload_conf()',
    ]);
    await waitUntil('the new configuration', async () => (await preflight()).decision === 'deploy');
  });

  test('is refused with what to do if the connection sets it', async () => {
    const { preflight } = await openPreflight(`${url}?options=-c%20default_transaction_read_only%3Don`, [
      ENTRY,
    ]);

    expect(await preflight()).toMatchObject({
      decision: 'refused',
      refusal: expect.stringMatching(
        /set in the options of the connection\..* remove it from the options of the database URL/,
      ),
    });
  });

  test('stops no service: the deploy fails with the reason, and the plan still compares definitions', async () => {
    await database.query(
      `create index by_kind on events (upper(kind)); alter role ${ROLE} set default_transaction_read_only = on`,
    );
    const workflow = await openTestWorkflow({
      databaseUrl: url,
      indexes: [ENTRY],
      // The demo's services write to the database with the same role.
      services: 'none',
    });
    try {
      const { status, cause } = await workflow.deploy({ force: true });
      const plan = await workflow.deploy({ mode: 'plan' });

      expect(status).toBe('FAILED');
      expect(cause).toContain(
        'Refused before anything was stopped or changed. The database accepts no writes from the role deployer: default_transaction_read_only is on, set for the role deployer.',
      );
      expect(workflow.events.filter((event) => event.machine.endsWith('maintenance-window'))).toEqual([]);
      expect(plan.status).toBe('SUCCEEDED');
      expect(plan.report.indexes).toMatchObject([{ status: 'drifted', detail: 'USING btree (upper(kind))' }]);
    } finally {
      await workflow.close();
      await database.query(`drop index by_kind; alter role ${ROLE} reset all`);
    }
  });
});

/** Of the primary, and so of its copy. */
const PASSWORD = randomPassword();

onEachMajor('a standby', (major) => {
  test('is refused, and after its promotion the next deploy continues where the last one ended', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pg-deploy-step-failover-'));
    const [primaryFolder, standbyFolder] = [join(folder, 'primary'), join(folder, 'standby')];
    const servers: EmbeddedPostgres[] = [];
    const start = async (directory: string, settings: Record<string, string> = {}) => {
      const server = await startEmbeddedPostgres({
        major,
        directory,
        password: PASSWORD,
        tcp: true,
        settings: { fsync: 'off', ...settings },
      });
      servers.push(server);
      return server;
    };
    await promisify(execFile)('mkdir', ['-m', '755', primaryFolder, standbyFolder]);
    await promisify(execFile)('chmod', ['755', folder]);
    try {
      const first = await start(primaryFolder);
      const database = await createDatabase({ adminUrl: first.url() });
      await database.query('create table events (kind text, path text)');
      await first.stop();
      // A copy of a stopped server can follow it, with the owner and the mode of each file.
      await promisify(execFile)('cp', ['-a', join(primaryFolder, 'data'), standbyFolder]);
      await promisify(execFile)('cp', [
        '-a',
        join(standbyFolder, 'data/PG_VERSION'),
        join(standbyFolder, 'data/standby.signal'),
      ]);
      await writeFile(join(standbyFolder, 'data/standby.signal'), '');
      const primary = await start(primaryFolder);
      const standby = await start(standbyFolder, {
        primary_conninfo: `host=127.0.0.1 port=${primary.port} user=postgres password=${PASSWORD}`,
      });
      const onPrimary = await openPreflight(primary.url(database.name), [ENTRY]);
      const onStandby = await openPreflight(standby.url(database.name), [ENTRY]);
      expect(await onPrimary.preflight()).toMatchObject({ decision: 'deploy', refusal: null });
      const before = await openTestWorkflow({
        ...{ databaseUrl: primary.url(database.name), services: 'none', indexes: [ENTRY] },
      });
      expect((await before.deploy()).report.indexes).toMatchObject([{ status: 'built' }]);
      await before.close();
      const replica = { ...database, url: standby.url(database.name) };
      await waitForRows(
        asDatabase(replica),
        "select from pg_index where indexrelid = to_regclass('by_kind') and indisvalid",
      );

      for (const mode of ['deploy', 'indexes', 'plan']) {
        expect(await onStandby.preflight({ mode })).toMatchObject({
          decision: 'refused',
          refusal:
            'The server is a standby, which is read-only. Set database.host to the primary: the cluster endpoint or the writer endpoint, not a reader endpoint. If a failover is in progress, wait until this server is promoted, then start the deploy again.',
        });
      }
      expect(await onStandby.preflight({ mode: 'start-services' })).toMatchObject({
        decision: 'start-services',
      });

      await primary.stop('immediate');
      await asDatabase(replica).query('select pg_promote()');
      const after = await openTestWorkflow({
        databaseUrl: replica.url,
        services: 'none',
        indexes: [
          ENTRY,
          {
            ...ENTRY,
            name: 'by_path',
            sql: 'create index concurrently if not exists by_path on events (path)',
          },
        ],
      });
      const { status, report } = await after.deploy();
      await after.close();

      expect(status).toBe('SUCCEEDED');
      expect(report.indexes).toMatchObject([
        { name: 'by_kind', status: 'present', attempts: 0 },
        { name: 'by_path', status: 'built', attempts: 1 },
      ]);
    } finally {
      for (const server of servers) await server.stop('immediate');
      await rm(folder, { recursive: true, force: true });
    }
  });
});

/** The same database on another server. */
function asDatabase({ url, ...database }: TestDatabase): TestDatabase {
  return {
    ...{ ...database, url },
    query: async <R extends QueryResultRow>(sql: string, params?: unknown[]) => {
      const client = await connect(url);
      try {
        return (await client.query<R>(sql, params)).rows;
      } finally {
        await client.end();
      }
    },
  };
}
