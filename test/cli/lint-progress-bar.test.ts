import { PassThrough } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { lintProgressBar } from '../../lib/cli/commands/lint-progress-bar.ts';

beforeEach(() => {
  vi.stubEnv('CI', undefined);
  vi.stubEnv('TERM', 'xterm');
});

afterEach(() => {
  vi.unstubAllEnvs();
});

/** The output after `done` of `total` files. */
function written(isTTY: boolean, done: number, total: number): string {
  const stream = Object.assign(new PassThrough(), { isTTY, columns: 80, rows: 20 });
  const progress = lintProgressBar(stream as unknown as NodeJS.WriteStream);
  progress.onProgress(done, total);
  progress.close();
  return stripVTControlCharacters(String(stream.read() ?? ''));
}

test('a long history of migrations gets a bar in a terminal', () => {
  expect(written(true, 2_500, 5_000)).toContain(
    `Linting migrations ${'█'.repeat(15)}${'░'.repeat(15)} 2500 of 5000`,
  );
});

test('a short history gets no bar, and nothing is drawn without a terminal or in CI', () => {
  expect(written(true, 5, 10)).not.toContain('Linting');
  expect(written(false, 2_500, 5_000)).toBe('');
  vi.stubEnv('CI', 'true');
  expect(written(true, 2_500, 5_000)).toBe('');
});
