import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createLogger } from '../../lambdas/shared/logger.ts';

let lines: string[];

beforeEach(() => {
  lines = [];
  vi.useFakeTimers({ now: new Date('2026-03-04T05:06:07.089Z'), toFake: ['Date'] });
  vi.spyOn(process.stdout, 'write').mockImplementation((line) => {
    lines.push(String(line));
    return true;
  });
});
afterEach(() => {
  vi.restoreAllMocks();
  vi.useRealTimers();
  vi.unstubAllEnvs();
});

test('an entry is one line of JSON with its level, function, time, trace and fields', () => {
  vi.stubEnv(
    '_X_AMZN_TRACE_ID',
    'Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1',
  );
  const log = createLogger('report');

  log.info('Deploy summary.', { created: 3, failure: null, skipped: undefined });
  log.warn('Two\nlines');
  log.error('The index failed.', { index: 'sales.idx_orders', reason: 'duplicate keys' });

  const common = {
    timestamp: '2026-03-04T05:06:07.089Z',
    service: 'pg-deploy-step/report',
    xray_trace_id: '1-5759e988-bd862e3fe1be46a994272793',
  };
  expect(lines.map((line) => line.match(/\n/g)?.length)).toEqual([1, 1, 1]);
  expect(lines.map((line) => JSON.parse(line))).toEqual([
    { level: 'INFO', message: 'Deploy summary.', ...common, created: 3, failure: null },
    { level: 'WARN', message: 'Two\nlines', ...common },
    {
      ...{ level: 'ERROR', message: 'The index failed.', ...common },
      ...{ index: 'sales.idx_orders', reason: 'duplicate keys' },
    },
  ]);
});

test('control characters of any text are visible', () => {
  createLogger('report').warn('red \u001b[31m', { by: '\u0007bell', nested: { list: ['\u0000'] } });

  expect(JSON.parse(lines.join(''))).toMatchObject({
    message: 'red \\u001b[31m',
    by: '\\u0007bell',
    nested: { list: ['\\u0000'] },
  });
});

test('a field replaces neither the level nor the message', () => {
  createLogger('plan-builds').error('Not recorded.', {
    message: 'duplicate keys',
    level: 'DEBUG',
    index: 'a',
  });

  expect(JSON.parse(lines.join(''))).toMatchObject({ level: 'ERROR', message: 'Not recorded.', index: 'a' });
});
