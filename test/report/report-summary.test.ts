import { describe, expect, test } from 'vitest';
import { summaryOf } from '../../lambdas/report/report-summary.ts';
import type { IndexReport, Report, ServiceReport } from '../../lambdas/shared/report-schema.ts';
import { failedIndex, reportOf } from './failures.ts';

const missing = (name: string, more: Partial<IndexReport> = {}) =>
  failedIndex(name, { status: 'missing', error: null, attempts: 0, ...more });
const service = (name: string, more: Partial<ServiceReport> = {}): ServiceReport => ({
  ...{ name, stoppedAt: null, startedAt: null, status: 'unchanged', error: null },
  ...more,
});
const sql = (more: Partial<Report['migrations']>): Report['migrations'] => ({
  ...{ runner: 'sql', outcome: 'not-run', applied: [], pending: [], failure: null },
  ...more,
});

describe('the summary of a plan', () => {
  const plan = (indexes: IndexReport[], more: Partial<Report> = {}) =>
    summaryOf(
      reportOf(indexes, {
        mode: 'plan',
        totals: { created: 0, skipped: 4, failed: 0, remaining: indexes.length },
        services: [service('api'), service('worker')],
        ...more,
      }),
    );

  test('names the migrations, the indexes and the services', () => {
    expect(
      plan([missing('idx_a'), missing('idx_b')], {
        migrations: sql({ pending: ['0006_a', '0007_b'], pendingOnline: ['0007_b'] }),
        warnings: ['A deploy would be refused. It is too late.', 'another'],
      }),
    ).toBe(
      'A deploy would apply 2 migrations (0006_a, 0007_b), 1 of them while the services run. It would build 2 indexes (idx_a, idx_b). It would stop and start the services api, worker. 2 warnings, the first: A deploy would be refused. It is too late.',
    );
  });

  test('says that nothing is to be done', () => {
    expect(plan([])).toBe(
      'No migrations are pending. No index is to be built. It would not stop the services api, worker.',
    );
  });

  test('counts the indexes that cannot be built, or have no table yet', () => {
    expect(
      plan(
        [
          missing('idx_a'),
          missing('idx_b', { detail: 'it depends' }),
          missing('idx_c', { status: 'table-missing' }),
        ],
        { services: [] },
      ),
    ).toBe(
      'No migrations are pending. It would build 1 index (idx_a). 1 cannot be built (idx_b). 1 on tables that do not exist yet.',
    );
  });

  test('does not claim to know what a migration task would do', () => {
    expect(plan([], { migrations: sql({ runner: 'ecs-task' }) })).toBe(
      'A deploy would run the migration task, which alone knows what is pending. No index is to be built. It would stop and start the services api, worker.',
    );
    expect(plan([], { migrations: sql({ runner: 'none' }) })).toContain('The deploy applies no migrations.');
  });
});

describe('the summary of a deploy', () => {
  const stopped = { stoppedAt: '2026-01-01T00:00:00.000Z' };
  const started = { ...stopped, startedAt: '2026-01-01T00:00:07.000Z', status: 'started' as const };

  test('has the totals and the time that the services were down', () => {
    expect(
      summaryOf(
        reportOf([], {
          migrations: sql({ outcome: 'succeeded', applied: ['0006_a'] }),
          totals: { created: 20, skipped: 1_234, failed: 0, remaining: 0 },
          services: [service('api', started), service('worker')],
          downtimeMs: 150_000,
        }),
      ),
    ).toBe(
      'The deploy succeeded in 13 s. 1 migration applied (0006_a). Indexes: 20 created, 1,234 already present, 0 failed, 0 remaining. Stopped and started in 2 min 30 s: the service api.',
    );
  });

  test('names failed indexes and services that are stopped', () => {
    expect(
      summaryOf(
        reportOf([failedIndex('idx_a')], {
          status: 'failed',
          failure: '1 critical index failed.\n- idx_a: duplicate key',
          services: [service('api', { ...stopped, status: 'stopped' })],
        }),
      ),
    ).toBe(
      'The deploy failed: 1 critical index failed. Indexes: 0 created, 0 already present, 1 failed, 0 remaining. Failed: idx_a. STOPPED: the service api.',
    );
  });

  test('says until when services are held', () => {
    expect(
      summaryOf(
        reportOf([], {
          services: [service('api', { ...stopped, status: 'stopped' })],
          hold: { since: '2026-01-01T00:00:00.000Z', until: '2026-01-01T00:30:00.000Z' },
        }),
      ),
    ).toContain(
      'Held for the deployment of the application, until 2026-01-01T00:30:00.000Z at most: the service api.',
    );
  });

  test('is one line of at most 900 characters without commands, whatever the names are', () => {
    const names = Array.from({ length: 100 }, (_, n) => `idx\n::error::${n}${'x'.repeat(300)}`);
    const summary = summaryOf(reportOf(names.map((name) => failedIndex(name))));

    expect(summary.length).toBeLessThanOrEqual(900);
    expect(summary).not.toMatch(/\n|^::/);
    expect(summary).toMatch(/…$/);
  });
});
