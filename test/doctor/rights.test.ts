import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import { connect, readRelations, type TestDatabase } from '../support/database.ts';
import { openFakePooler } from '../support/fake-pooler.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { PLANTED, PLANTED_ALONE, REGISTRY } from './planted.ts';
import { examine, inLines, withRegistry } from './support.ts';

describe.each(MAJORS)('on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let place: CommandFolder;
  let role: string;
  let asRole: string;
  let sessions: Client[] = [];

  beforeAll(async () => {
    place = createCommandFolder();
    database = await serverOf(major).createDatabase();
    await database.query(PLANTED);
    for (const sql of PLANTED_ALONE) await database.query(sql);
    role = `reader_${database.name}`;
    await database.query(`create role ${role} login password 'reader'`);
    const url = new URL(database.url);
    Object.assign(url, { username: role, password: 'reader' });
    asRole = url.href;
  });
  afterEach(async () => {
    await Promise.all(sessions.map((one) => one.end()));
    sessions = [];
  });
  afterAll(async () => {
    await database.query(`drop owned by ${role}; drop role ${role}`);
    await database.drop();
    place.remove();
  });

  test('a role without any right on the tables finds everything except what only their statistics show', async () => {
    const { findings, unknown } = await examine(place, asRole, ...withRegistry(place, REGISTRY));
    expect(inLines(findings).filter((line) => !line.includes('sequential-scans'))).toEqual([
      'high not-in-database public.people people_name (tenant_id,name)',
      'high foreign-key-without-index public.letters (author)',
      'high tenant-table-without-index public.notes (tenant_id)',
      'high duplicate public.people people_tenant_email_again (tenant_id,email)',
      'high redundant public.people people_email (email)',
      'high redundant public.deploy_logs deploy_logs_line (line)',
      'medium redundant public.people people_tenant (tenant_id)',
      'high not-in-registry public.events events_waiting (kind,at)',
    ]);
    const reasons = unknown.map(({ reason }) => reason);
    expect(reasons.join('\n')).toMatch(/This role may not see the statistics of the tables of \d+ indexes/);
    expect(reasons).toContainEqual(
      expect.stringMatching(
        /^The indexes of deploy_logs are not compared with the registry, only their names: /,
      ),
    );
  });

  test('it changes nothing, and needs no lock but ACCESS SHARE', async () => {
    const before = await readRelations(database);
    const holder = await connect(database.url, 'holder');
    sessions.push(holder);
    // EXCLUSIVE conflicts with every lock except ACCESS SHARE.
    await holder.query(
      'begin; lock table people, letters, notes, events, visits, queue, twice, deploy_logs in exclusive mode',
    );
    const { findings, unknown } = await examine(place, database.url, ...withRegistry(place, REGISTRY));
    expect(findings.map(({ kind }) => kind)).toContain('duplicate');
    expect(JSON.stringify(unknown)).not.toContain('locked');
    await holder.query('rollback');
    expect(await readRelations(database)).toEqual(before);
  });

  test('it also works if nothing can be written', async () => {
    await database.query(`alter database ${database.name} set default_transaction_read_only = on`);
    const { findings } = await examine(place, database.url, ...withRegistry(place, REGISTRY));
    expect(findings.map(({ kind }) => kind)).toEqual(
      expect.arrayContaining(['duplicate', 'not-in-database', 'bloated']),
    );
    await database.query(
      `begin read write; alter database ${database.name} reset default_transaction_read_only; commit`,
    );
  });

  test('a table that another session has locked exclusively is left out, and named', async () => {
    const holder = await connect(database.url, 'holder');
    sessions.push(holder);
    await holder.query('begin; lock table people in access exclusive mode');
    const { findings, unknown } = await examine(place, database.url);
    expect(unknown).toContainEqual({
      kinds: ['duplicate', 'redundant', 'not-in-registry'],
      reason: 'Another session has locked public.people, so the definitions of their indexes were not read.',
      fix: 'Run doctor again.',
    });
    expect(inLines(findings)).toContain('high redundant public.deploy_logs deploy_logs_line (line)');
    expect(findings.filter(({ kind }) => kind === 'duplicate')).toEqual([]);
  });

  test('a connection pooler is refused, because its sessions have settings of others', async () => {
    const pooler = await openFakePooler(database.url);
    const { exitCode, stdout, stderr } = await place.run('doctor', '--database-url', pooler.url);
    pooler.close();
    expect([exitCode, stdout]).toEqual([1, '']);
    expect(stderr).toContain('The database cannot be read: the connection goes through a connection pooler');
  });
});
