import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CommandFolder, createCommandFolder } from '../support/command.ts';
import type { TestDatabase } from '../support/database.ts';
import { MAJORS, serverOf } from '../support/servers.ts';
import { waitForRows } from '../support/waits.ts';
import { PLANTED, PLANTED_ALONE, REGISTRY } from './planted.ts';
import { examine, inLines, type JsonDiagnosis, withRegistry } from './support.ts';

describe.each(MAJORS)('a planted database on PostgreSQL %i', (major) => {
  let database: TestDatabase;
  let place: CommandFolder;
  let found: JsonDiagnosis & { exitCode: number | null };

  beforeAll(async () => {
    place = createCommandFolder();
    database = await serverOf(major).createDatabase();
    await database.query(PLANTED);
    for (const sql of PLANTED_ALONE) await database.query(sql);
    await expect(
      database.query('create unique index concurrently twice_code on twice (code)'),
    ).rejects.toMatchObject({ code: '23505' });
    // Before version 15 sessions send their counters some time after they have counted.
    await waitForRows(
      database,
      "select from pg_stat_user_tables where relname = 'visits' and seq_scan >= 60",
    );
    found = await examine(place, database.url, ...withRegistry(place, REGISTRY));
  });

  afterAll(async () => {
    place.remove();
    await database.drop();
  });

  const of = (kind: string) => found.findings.filter((one) => one.kind === kind);

  test('has exactly the findings that were planted', () => {
    expect(inLines(found.findings)).toEqual([
      'high invalid public.twice twice_code (code)',
      'high not-in-database public.people people_name (tenant_id,name)',
      'high not-in-database public.deploy_logs deploy_logs_line (line)',
      'high foreign-key-without-index public.letters (author)',
      'high tenant-table-without-index public.notes (tenant_id)',
      'high sequential-scans public.visits ()',
      'high duplicate public.people people_tenant_email_again (tenant_id,email)',
      'high redundant public.people people_email (email)',
      'high redundant public.deploy_logs deploy_logs_line (line)',
      'medium redundant public.people people_tenant (tenant_id)',
      'medium bloated public.queue queue_job (job)',
      'medium bloated public.queue queue_pkey (id)',
      'high not-in-registry public.events events_waiting (kind,at)',
    ]);
    expect([found.exitCode, found.failing, found.tenantColumn]).toEqual([1, 13, 'tenant_id']);
    expect(found.tablesMissing).toEqual(['invoices_tenant']);
  });

  test('each finding has evidence and a fix', () => {
    for (const { evidence, fix } of found.findings) {
      expect(evidence).toMatch(/\.$/);
      expect(fix).not.toBe('');
    }
  });

  test('of two equal indexes, the one to keep is named, and the dropped one can be created again', () => {
    const [duplicate] = of('duplicate');
    expect(duplicate?.evidence).toContain('the same definition as people_tenant_email,');
    expect(duplicate?.fix).toBe('DROP INDEX CONCURRENTLY "public"."people_tenant_email_again";');
    expect(duplicate?.restore).toBe(
      'CREATE INDEX CONCURRENTLY people_tenant_email_again ON public.people USING btree (tenant_id, email);',
    );
  });

  test('the fixes are statements that fix it, and then only the sequential scans are left', async () => {
    // What only a person can decide: the values that are there twice, the definition that is right, and the partitions.
    await database.query('delete from twice where id % 2 = 1');
    await database.query('drop index events_waiting');
    const registry = REGISTRY.filter(
      ({ name }) => !['deploy_logs_line', 'people_tenant', 'people_tenant_email_again'].includes(name),
    );
    for (const { kind, fix } of found.findings) {
      if (['sequential-scans', 'not-in-registry'].includes(kind) || fix.startsWith('Give')) continue;
      await database.query(fix);
    }
    await database.query('vacuum analyze');
    const entries = found.findings.flatMap(({ entry, kind }) =>
      entry === null || kind === 'not-in-registry' ? [] : entry,
    );
    const twice = {
      name: 'twice_code',
      sql: 'create unique index concurrently if not exists twice_code on twice (code)',
      description: 'codes',
    };
    const again = await examine(
      place,
      database.url,
      ...withRegistry(place, [...registry, ...entries, twice]),
    );
    const certain = again.findings.filter(({ confidence }) => confidence !== 'unknown');
    expect(inLines(certain)).toEqual(['high sequential-scans public.visits ()']);
    // The new index for notes has not been scanned yet. It is too young to be unused.
    expect(inLines(again.findings.filter(({ confidence }) => confidence === 'unknown'))).toEqual(
      expect.arrayContaining(['unknown unused public.notes idx_notes_tenant_id (tenant_id)']),
    );
  });
});
