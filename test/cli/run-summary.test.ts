import { describe, expect, test } from 'vitest';
import type { IndexReport, MigrationsReport, Report } from '../../lambdas/shared/report-schema.ts';
import { runSummary } from '../../lib/cli/summary/run-summary.ts';
import { ofCauses, onMissingTables } from '../report/failures.ts';

const index = (name: string, more: Partial<IndexReport> = {}): IndexReport => ({
  ...{ name, schema: 'public', table: 'deals', critical: false, status: 'built', attempts: 1 },
  ...{ durationMs: 1234, sizeBytes: 8192, error: null, detail: null, blockedBy: null },
  ...{ terminated: null, partitions: null, constraint: null },
  ...more,
});

const migrations = (more: Partial<MigrationsReport> = {}): MigrationsReport => ({
  ...{ runner: 'sql', outcome: 'not-run', applied: [], pending: [], failure: null },
  ...more,
});

const report = (more: Partial<Report> = {}): Report => ({
  ...{ deploy: 'd-1', mode: 'deploy', status: 'succeeded', failure: null, warnings: [] },
  ...{ startedAt: '2026-01-01T00:00:00.000Z', finishedAt: '2026-01-01T00:00:12.500Z' },
  ...{
    services: [],
    downtimeMs: 0,
    migrations: migrations(),
    indexes: [],
    indexesOmitted: 0,
    searchPath: null,
  },
  totals: { created: 0, skipped: 0, failed: 0, remaining: 0 },
  ...more,
});

const api = {
  name: 'api',
  stoppedAt: '2026-01-01T00:00:01.000Z',
  startedAt: '2026-01-01T00:00:09.200Z',
  status: 'started' as const,
  error: null,
};
const show = (more: Partial<Report>) =>
  runSummary(report(more), { colour: false, startCommand: 'pg-deploy-step recover' }).split('\n');

const failedIndex = index('idx_b', {
  ...{ status: 'failed', critical: true, attempts: 3, table: 'users', durationMs: null, sizeBytes: null },
  error: { sqlstate: '23505', message: 'Index idx_b: could not create unique index' },
});

describe('the summary of a run', () => {
  const unique = { name: 'a_key', type: 'unique' as const, attached: false, indexValid: false };

  test('has the statement that brings a dropped index back, and not those that were dropped before', () => {
    const gone = { status: 'retired', durationMs: null, sizeBytes: null } as const;
    const restoreStatement = 'CREATE INDEX CONCURRENTLY "idx_a" ON public.deals USING btree (a);';
    const indexes = [index('idx_a', { ...gone, restoreStatement }), index('idx_b', { ...gone, attempts: 0 })];
    expect(show({ indexes }).slice(0, 3)).toEqual([
      'Dropped, because they are retired (each with the statement that brings it back):',
      '  idx_a on deals',
      `    ${restoreStatement}`,
    ]);
    expect(show({ indexes }).join('\n')).not.toContain('idx_b');
  });

  test('names the constraint that was added with an index', () => {
    const indexes = [index('idx_a', { constraint: { ...unique, attached: true, indexValid: true } })];
    expect(show({ indexes })[1]).toMatch(/^ {2}idx_a {2}on deals .* {2}constraint a_key$/);
  });

  test('of a plan names the constraints to add, with and without a build', () => {
    const missing = { status: 'missing', attempts: 0, durationMs: null, sizeBytes: null } as const;
    const lines = show({
      mode: 'plan',
      indexes: [
        index('idx_a', { ...missing, constraint: unique }),
        index('idx_b', { ...missing, constraint: { ...unique, name: 'b_key', indexValid: true } }),
        index('idx_c', missing),
      ],
      totals: { created: 0, skipped: 0, failed: 0, remaining: 3 },
    });
    expect(lines).toEqual(
      expect.arrayContaining([
        '  idx_a  on deals  non-critical  with constraint a_key',
        '  idx_b  on deals  non-critical  only adds constraint b_key',
        '  idx_c  on deals  non-critical',
      ]),
    );
  });

  test('shows what a successful deploy built, longest builds first', () => {
    const lines = show({
      indexes: [
        index('idx_quick', { durationMs: 40 }),
        index('idx_long_name', {
          durationMs: 1_860_000,
          sizeBytes: 2_300_000_000,
          status: 'repaired',
          attempts: 2,
        }),
        index('idx_present', { status: 'present', attempts: 0 }),
      ],
      totals: { created: 2, skipped: 1, failed: 0, remaining: 0 },
      migrations: migrations({ outcome: 'succeeded', applied: ['0001_a', '0002_b'] }),
      services: [api],
      downtimeMs: 8_200,
    });
    expect(lines).toEqual([
      'Indexes: 2 created, 1 already present, 0 failed, 0 remaining',
      '',
      'Created:',
      '  idx_long_name  on deals  31 min  2.1 GB  repaired, 2 attempts',
      '  idx_quick      on deals  40 ms   8 kB',
      '',
      'Migrations applied: 0001_a, 0002_b',
      '',
      'Services: api; they were down for 8.2 s',
      '',
      'Deploy d-1 succeeded in 12.5 s',
    ]);
  });

  test('shows why a non-critical index failed in a deploy that succeeded', () => {
    const lines = show({
      indexes: [{ ...failedIndex, critical: false }],
      totals: { created: 0, skipped: 0, failed: 1, remaining: 0 },
      warnings: ['Not built: idx_b. The deploy continued, because these indexes are not critical.'],
    });
    expect(lines).toContain('  ✖ idx_b on users (non-critical, 3 attempts, SQLSTATE 23505)');
    expect(lines).toContain('    could not create unique index');
    expect(lines).toContain(
      'Warning: Not built: idx_b. The deploy continued, because these indexes are not critical.',
    );
    expect(lines.at(-1)).toBe('Deploy d-1 succeeded with 1 failed index in 12.5 s');
  });

  test('shows the command that starts the services after a critical index failed', () => {
    const lines = show({
      status: 'failed',
      failure: 'Critical index not built: idx_b',
      indexes: [failedIndex],
      totals: { created: 0, skipped: 0, failed: 1, remaining: 0 },
      services: [
        { ...api, startedAt: null, status: 'stopped' as const },
        { name: 'worker', stoppedAt: api.stoppedAt, startedAt: null, status: 'stopped', error: null },
      ],
      downtimeMs: null,
    });
    expect(lines).toContain('  ✖ idx_b on users (critical, 3 attempts, SQLSTATE 23505)');
    expect(lines).toContain('Services LEFT STOPPED: api, worker; start them with: pg-deploy-step recover');
    expect(lines.at(-1)).toBe('Deploy d-1 failed after 12.5 s: Critical index not built: idx_b');
  });

  test('shows services that are held, and the command that ends the hold', () => {
    const lines = show({
      services: [{ ...api, startedAt: null, status: 'stopped' as const }],
      hold: { since: '2026-01-01T00:00:10.000Z', until: '2026-01-01T00:30:10.000Z' },
      downtimeMs: null,
    });
    expect(lines).toContain(
      'Services HELD for your own deployment: api; on this machine nothing starts them by itself: end the hold with: pg-deploy-step recover',
    );
    expect(lines.at(-1)).toBe('Deploy d-1 succeeded in 12.5 s');
  });

  test('shows the revisions that have changed, and those that should have', () => {
    const lines = show({
      services: [
        { ...api, revision: { from: 'api:41', to: 'api:42' } },
        { ...api, name: 'worker', revision: { from: 'job:1', to: 'job:1', requested: 'job:2' } },
        { ...api, name: 'mailer', revision: { from: 'mail:1', to: null, requested: 'mail:2' } },
        { ...api, name: 'other' },
      ],
    });
    expect(lines).toContain(
      'Revisions: api api:41 → api:42, worker still job:1 (requested: job:2), mailer mail:1 → not running (requested: mail:2)',
    );
  });

  test('shows which hold the start of the services has ended', () => {
    const lines = show({ services: [api], endedHold: { deploy: 'd-0', since: '2026-01-01T00:00:10.000Z' } });
    expect(lines).toContain('The hold of the deploy d-0, since 2026-01-01T00:00:10.000Z has ended.');
  });

  test('shows pending migrations and remaining indexes after a failed migration', () => {
    const lines = show({
      status: 'failed',
      failure: 'Migration 0002_b failed, and no migration was applied: syntax error',
      indexes: [index('idx_a', { status: 'missing', durationMs: null, sizeBytes: null, attempts: 0 })],
      totals: { created: 0, skipped: 0, failed: 0, remaining: 1 },
      migrations: migrations({ outcome: 'failed', pending: ['0002_b'] }),
      services: [api],
      downtimeMs: 2_000,
    });
    expect(lines).toContain('Remaining: idx_a');
    expect(lines).toContain('Migrations pending: 0002_b');
    expect(lines).toContain('Services: api; they were down for 2.0 s');
    expect(lines.at(-1)).toMatch(/^Deploy d-1 failed after 12\.5 s: Migration 0002_b failed/);
  });

  test('shows that a deploy with nothing to do stopped no services', () => {
    const lines = show({
      indexes: [index('idx_a', { status: 'present', attempts: 0, durationMs: null })],
      totals: { created: 0, skipped: 1, failed: 0, remaining: 0 },
      services: [{ name: 'api', stoppedAt: null, startedAt: null, status: 'unchanged', error: null }],
      warnings: ['Nothing to do.'],
    });
    expect(lines).toEqual([
      'Indexes: 0 created, 1 already present, 0 failed, 0 remaining',
      '',
      'Services: not stopped (api)',
      '',
      'Warning: Nothing to do.',
      '',
      'Deploy d-1 succeeded in 12.5 s',
    ]);
  });

  test('shows only the reason of a refusal', () => {
    expect(show({ status: 'failed', failure: 'Refused before anything was stopped or changed.' })).toEqual([
      'Deploy d-1 failed after 12.5 s: Refused before anything was stopped or changed.',
    ]);
  });

  test('shows what a deploy would do after a plan', () => {
    const missing = { status: 'missing', attempts: 0, durationMs: null, sizeBytes: null } as const;
    const lines = show({
      mode: 'plan',
      indexes: [
        index('idx_a', missing),
        index('idx_key', { ...missing, schema: 'crm', table: 'users', critical: true }),
        index('idx_c', { status: 'present' }),
      ],
      totals: { created: 0, skipped: 1, failed: 0, remaining: 2 },
      migrations: migrations({ pending: ['0003_c'] }),
      services: [{ name: 'api', stoppedAt: null, startedAt: null, status: 'unchanged', error: null }],
    });
    expect(lines).toEqual([
      'Indexes: 1 already present, 2 to build',
      '',
      'A deploy would build 2 indexes on 2 tables, one at a time on each table:',
      '  idx_a        on deals      non-critical',
      '  crm.idx_key  on crm.users  critical',
      '',
      'Migrations that a deploy would apply: 0003_c',
      '',
      'A deploy would stop and start the services: api',
      '',
      'Plan d-1 succeeded in 12.5 s',
    ]);
  });

  test('shows after a plan why an index cannot be built', () => {
    const missing = { status: 'missing', attempts: 0, durationMs: null, sizeBytes: null } as const;
    const lines = show({
      mode: 'plan',
      indexes: [index('idx_a', { ...missing, detail: 'Index idx_a cannot be built: the reason.' })],
      totals: { created: 0, skipped: 0, failed: 0, remaining: 1 },
      services: [{ name: 'api', stoppedAt: null, startedAt: null, status: 'unchanged', error: null }],
    });
    expect(lines).toContain('Indexes: 0 already present, 0 to build, 1 that cannot be built');
    expect(lines).toContain('✖ Index idx_a cannot be built: the reason.');
    expect(lines).toContain('A deploy would not stop the services: api');
  });

  test('shows after a plan which services cannot be stopped, and which are left stopped', () => {
    const service = { stoppedAt: null, startedAt: null, status: 'unchanged', error: null } as const;
    const lines = show({
      mode: 'plan',
      services: [
        { name: 'api', ...service, usable: true, reason: null, leftStopped: false },
        { name: 'worker', ...service, usable: true, reason: null, leftStopped: true },
        {
          name: 'mailer',
          ...service,
          usable: false,
          reason: 'Service mailer is INACTIVE.',
          leftStopped: false,
        },
      ],
    });
    const at = lines.indexOf('A deploy would not stop the services: api, worker, mailer');
    expect(lines.slice(at + 1, at + 4)).toEqual([
      '  worker: a deploy has left it stopped',
      '✖ mailer: Service mailer is INACTIVE.',
      '',
    ]);
  });

  test('shows that a deploy would change nothing after a plan with nothing to do', () => {
    const lines = show({
      mode: 'plan',
      services: [{ name: 'api', stoppedAt: null, startedAt: null, status: 'unchanged', error: null }],
    });
    expect(lines).toContain('Every index exists.');
    expect(lines).toContain('No migrations are pending.');
    expect(lines).toContain('A deploy would not stop the services: api');
  });

  test.each(['plan', 'deploy'])('shows after a %s which index serves an entry', (mode) => {
    const lines = show({
      mode,
      indexes: [
        index('idx_a', { status: 'equivalent', detail: 't_email_key', attempts: 0, durationMs: null }),
      ],
      totals: { created: 0, skipped: 1, failed: 0, remaining: 0 },
    });
    expect(lines).toContain('Not built, because an index with the same definition exists:');
    expect(lines.find((line) => line.includes('idx_a'))).toMatch(/^ {2}idx_a +on .* served by t_email_key$/);
  });

  test('shows the thirty longest builds and counts the others', () => {
    const indexes = Array.from({ length: 45 }, (_, number) => index(`idx_${number}`, { durationMs: number }));
    const lines = show({ indexes, totals: { created: 45, skipped: 0, failed: 0, remaining: 0 } });
    expect(lines.filter((line) => line.startsWith('  idx_'))).toHaveLength(30);
    expect(lines).toContain('  and 15 more created');
    expect(lines.join('\n')).toContain('idx_44 ');
  });

  test.each([2, 20, 21, 200, 2_000])('groups %i failed indexes by cause in at most 20 lines', (count) => {
    for (const causes of [1, 3, 25]) {
      const indexes = ofCauses(count, causes);
      const lines = show({ indexes, totals: { created: 0, skipped: 0, failed: count, remaining: 0 } });
      const section = lines.slice(lines.indexOf('Failed:'), lines.indexOf('', lines.indexOf('Failed:')));
      expect(section.length).toBeLessThanOrEqual(20);
      const heads = section.filter((line) => /^ {2}(✖|and)/.test(line));
      const counts = heads.map((line) => Number(/(?:✖|causes?:) (\d+) index/.exec(line)?.[1] ?? 1));
      expect(counts.reduce((sum, one) => sum + one, 0)).toBe(count);
    }
  });

  test('shows critical failures first, and the sentence of a cause once', () => {
    const indexes = onMissingTables(200, (n) => n === 150);
    const text = show({
      ...{ status: 'failed', indexes, totals: { created: 0, skipped: 0, failed: 200, remaining: 0 } },
      failure: 'Critical indexes not built: 2 indexes, 1 cause.\n- the list',
      warnings: ['Not built: 199 indexes, 1 cause: a, b.\n- the list'],
    });
    expect(text).toEqual([
      'Indexes: 0 created, 0 already present, 200 failed, 0 remaining',
      '',
      'Failed:',
      '  ✖ 200 indexes, 1 of them critical (1 attempt each), the first: idx_missing_150 on missing_150, ' +
        'idx_missing_0 on missing_0, idx_missing_1 on missing_1',
      '    relation "public.missing_150" does not exist (SQLSTATE 42P01)',
      '',
      'Warning: Not built: 199 indexes, 1 cause: a, b.',
      '',
      'Deploy d-1 failed after 12.5 s: Critical indexes not built: 2 indexes, 1 cause.',
    ]);
  });

  test('shows on how many partitions an index was built, and the attempts of one partition', () => {
    const lines = show({
      indexes: [
        index('idx_events', { partitions: { built: 300, failed: 0 } }),
        index('idx_logs', { attempts: 3, partitions: { built: 299, failed: 0 }, durationMs: 1 }),
        { ...failedIndex, partitions: { built: 298, failed: 2 } },
      ],
      totals: { created: 2, skipped: 0, failed: 1, remaining: 0 },
    });
    expect(lines).toContain('  idx_events  on deals  1.2 s  8 kB  built on 300 partitions');
    expect(lines).toContain('  idx_logs    on deals  1 ms   8 kB  built on 299 partitions, 3 attempts');
    expect(lines).toContain(
      '  ✖ idx_b on users (critical, 3 attempts, built on 298 partitions, failed on 2, SQLSTATE 23505)',
    );
  });

  test('shows the headline of a warning after a deploy, and the SQL below it after a plan only', () => {
    const warnings = ['The role is a superuser.\n\n-- The role of the deploy.\nCREATE ROLE "shop" LOGIN;\n'];

    expect(show({ warnings }).filter((line) => /superuser|ROLE|--/.test(line))).toEqual([
      'Warning: The role is a superuser.',
    ]);
    expect(show({ warnings, mode: 'plan' }).join('\n')).toContain(
      'Warning: The role is a superuser.\n\n-- The role of the deploy.\nCREATE ROLE "shop" LOGIN;\n',
    );
  });

  test('shows the first of many migrations and services', () => {
    const files = Array.from({ length: 300 }, (_, n) => `${n}_file`);
    const lines = show({
      migrations: migrations({ outcome: 'succeeded', applied: files }),
      services: files.map((name) => ({ ...api, name })),
    });
    expect(
      lines.filter((line) => line.endsWith(' and 280 more') || line.includes(' and 280 more;')),
    ).toHaveLength(2);
  });
});
