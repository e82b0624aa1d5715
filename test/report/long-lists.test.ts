import { describe, expect, test } from 'vitest';
import { alertOf } from '../../lambdas/report/alert.ts';
import { deployFailure } from '../../lambdas/report/deploy-failure.ts';
import { driftWarnings, notBuiltWarnings, terminatedWarnings } from '../../lambdas/report/index-warnings.ts';
import { migrationsReport } from '../../lambdas/report/migrations-report.ts';
import type { ReportState } from '../../lambdas/shared/payloads.ts';
import { inSchema } from '../../lambdas/shared/registry.ts';
import type { IndexReport } from '../../lambdas/shared/report-schema.ts';
import { compileRegistry } from '../../lib/registry/compile-registry.ts';
import { failedIndex, ofCauses, onMissingTables, reportOf } from './failures.ts';

const MIGRATIONS = migrationsReport('sql', {}, { facts: null });
const CONTEXT = {
  environment: 'prod',
  startServicesMachine: 'pg-deploy-step-prod-start-services',
  buildIndexesMachine: 'pg-deploy-step-prod-build-indexes',
};

const causeOf = (indexes: IndexReport[], state: ReportState = {}) =>
  deployFailure(state, { indexes, services: [], migrations: MIGRATIONS }) ?? '';

const critical = { critical: true };

describe('the Cause', () => {
  test('of one critical index is one sentence', () => {
    expect(causeOf([failedIndex('idx_a', critical)])).toBe(
      'Critical index not built: idx_a on deals: relation "public.deals" does not exist (SQLSTATE 42P01)',
    );
  });

  test('of several critical indexes has a line for each cause, and ignores the other indexes', () => {
    expect(causeOf([...onMissingTables(300, (n) => n < 200), failedIndex('key', critical)])).toBe(
      [
        'Critical indexes not built: 201 indexes, 1 cause.',
        '- relation "public.missing_0" does not exist (SQLSTATE 42P01): 201 critical indexes, the first: ' +
          'idx_missing_0 on missing_0, idx_missing_1 on missing_1, idx_missing_2 on missing_2',
      ].join('\n'),
    );
  });

  test.each([1, 2, 20, 21, 200, 2_000])(
    'of %i indexes of 1, 3 or 25 causes has at most 20 lines',
    (count) => {
      for (const causes of [1, 3, 25]) {
        const cause = causeOf(ofCauses(count, causes, critical));
        expect(cause.split('\n').length).toBeLessThanOrEqual(20);
        expect(Buffer.byteLength(cause)).toBeLessThanOrEqual(32_768);
      }
    },
  );

  test('of any kind has at most 32 KiB, is cut at a character, and says so', () => {
    for (const length of [10_900, 10_923, 100_000]) {
      const refusal = '値'.repeat(length);
      const cause = causeOf([], { decision: 'refused', refusal });
      expect(Buffer.byteLength(cause)).toBeLessThanOrEqual(32_768);
      expect(cause).toMatch(length === 10_900 ? /値$/ : /値 … \(cut: /);
      expect(cause).not.toContain('\ufffd');
    }
  });

  test('names services with the same reason once', () => {
    const service = (name: string, reason: string | null) => ({ name, usable: reason === null, reason });
    const output = {
      ...{ verdict: 'services-refused' as const, services: 'untouched' as const, sessions: null },
      ...{ stopped: [], migrations: null, unrecordedFailures: [] },
      checked: [
        ...Array.from({ length: 60 }, (_, n) => service(`api-${n}`, 'the ECS service does not exist')),
        service('cron', 'the EventBridge rule does not exist'),
        service('good', null),
      ],
    };
    expect(causeOf([], { window: { output } })).toBe(
      'Services cannot be stopped, so nothing was stopped or changed. api-0, api-1, api-2, api-3, api-4, api-5, api-6, ' +
        'api-7, api-8, api-9 and 50 more: the ECS service does not exist; cron: the EventBridge rule does not exist.',
    );
  });
});

describe('the alert', () => {
  const alertFor = (indexes: IndexReport[], warnings: string[] = []) => {
    const failure = causeOf(indexes) || null;
    const status = failure === null ? 'succeeded' : 'failed';
    return alertOf(
      reportOf(indexes, {
        ...{ status, failure, warnings: [...notBuiltWarnings(indexes), ...warnings] },
        services: [
          {
            name: 'api',
            stoppedAt: '2026-01-01T00:00:01.000Z',
            startedAt: null,
            status: 'stopped',
            error: null,
          },
        ],
      }),
      CONTEXT,
    );
  };

  test('shows a cause once, and the fix once', () => {
    const message = alertFor(onMissingTables(200, (n) => n === 7))?.message ?? '';
    expect(message.split('\n')).toEqual([
      'Environment: prod',
      'Deploy: d-1 (deploy)',
      expect.stringMatching(/^Status: failed\. Critical index not built: idx_missing_7 on missing_7: /),
      'Services: STOPPED: api',
      'Failed indexes:',
      '- relation "public.missing_7" does not exist (SQLSTATE 42P01): 200 indexes, 1 of them critical, the first: ' +
        'idx_missing_7 on missing_7, idx_missing_0 on missing_0, idx_missing_1 on missing_1 [1 attempt each]',
      expect.stringMatching(
        /^Warning: Not built: 199 indexes, 1 cause: .* and 196 more\. The deploy continued/,
      ),
      '',
      'What to do next:',
      expect.stringMatching(/^1\. The services are stopped\./),
      expect.stringMatching(
        /^2\. Fix the causes in the messages above\. All failed indexes: select .* where deploy = 'd-1'/,
      ),
      expect.stringMatching(/^3\. Build only the failed indexes, .* with the input \{\}\. It builds every/),
    ]);
  });

  test.each([1, 2, 20, 21, 200, 2_000])(
    'for %i failures of 1, 3 or 25 causes has at most 20 lines',
    (count) => {
      for (const causes of [1, 3, 25]) {
        const warnings = Array.from({ length: 20 }, (_, n) => `Warning number ${n}\nof two lines`);
        const { subject, message } = alertFor(ofCauses(count, causes, critical), warnings) ?? {};
        expect(message?.split('\n').length).toBeLessThanOrEqual(20);
        expect(subject).toMatch(/^[\x21-\x7e][\x20-\x7e]{0,98}$/);
      }
    },
  );

  test('with messages of 8 KB in several bytes per character is far below the limit of SNS', () => {
    const indexes = Array.from({ length: 2_000 }, (_, n) =>
      failedIndex(`${'索'.repeat(20)}${n % 10}`, {
        critical: true,
        error: {
          sqlstate: null,
          message: `${String.fromCodePoint(0x4e00 + n).repeat(30)} ${'😀'.repeat(2_000)}`,
        },
      }),
    );
    const message = alertFor(indexes)?.message ?? '';
    expect(Buffer.byteLength(message)).toBeLessThan(64 * 1024);
    expect(message.isWellFormed()).toBe(true);
  });
});

describe('the warnings', () => {
  test('about failed indexes name one index as before', () => {
    expect(notBuiltWarnings([failedIndex('idx_a'), failedIndex('key', critical)])).toEqual([
      'Not built: idx_a. The deploy continued, because these indexes are not critical.',
    ]);
  });

  test('about drifted indexes say the same advice once', async () => {
    const registry = await compileRegistry(
      Array.from({ length: 40 }, (_, n) => ({
        name: `idx_${n}`,
        sql: `CREATE INDEX CONCURRENTLY IF NOT EXISTS idx_${n} ON t_${n} (a)`,
        description: 'drifted',
      })),
      'the test',
    );
    const text = (n: number, advice: string) =>
      `Drifted: idx_${n} on t_${n} has the definition USING btree (b${n}), which differs from the registry. ${advice}`;
    const notes = registry.map((entry, n) => ({
      index: inSchema(entry, 'public'),
      text: text(n, n < 39 ? 'Correct the registry.' : 'It backs a constraint.'),
    }));

    expect(driftWarnings(notes)).toEqual([
      `${text(0, 'Correct the registry.')} The same applies to 38 other indexes: idx_1, idx_2, idx_3 and 35 more.`,
      text(39, 'It backs a constraint.'),
    ]);
  });

  test('about terminated sessions name a session once, and at most six', () => {
    const terminated = (n: number, session: string) => failedIndex(`idx_${n}`, { terminated: session });
    expect(terminatedWarnings([terminated(1, 'pid 7 (psql)'), terminated(2, 'pid 7 (psql)')])).toEqual([
      'Terminated a session that blocked a build: pid 7 (psql) (for idx_1, idx_2).',
    ]);
    const many = terminatedWarnings(Array.from({ length: 200 }, (_, n) => terminated(n, `pid ${n} (psql)`)));
    expect(many).toHaveLength(6);
    expect(many.at(-1)).toBe(
      'And 195 more warnings of this kind. The report lists them for each index (terminated).',
    );
  });
});
