import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { readVariables } from '../../lambdas/shared/database-variables.ts';
import { checkVariablesSchema, sessionsVariablesSchema } from '../../lambdas/shared/function-variables.ts';
import { compiledRegistrySchema } from '../../lambdas/shared/registry.ts';
import { bundleCode } from '../../lib/functions/bundle-code.ts';
import { FUNCTIONS } from '../../lib/functions/function-names.ts';

/** 250 KB of 1,024 bytes, as esbuild and Lambda count. A larger bundle takes longer to load when a function starts. */
const LARGEST_BUNDLE = 250 * 1_024;

test.each(FUNCTIONS)('the bundle of %s has at most 250 KB', (name) => {
  expect(bundleCode().code.get(name)?.length).toBeLessThanOrEqual(LARGEST_BUNDLE);
});

test('the bundles contain no code that the functions never reach', () => {
  const names = bundleCode().packages.map(({ name }) => name);

  for (const unused of [
    ...['glob', 'jiti', 'pg-connection-string', 'pg-pool', 'pgpass'],
    ...['pg-int8', 'postgres-interval', 'xtend'],
  ]) {
    expect(names).not.toContain(unused);
  }
});

test('the mini form of the schemas has messages', () => {
  expect(() => readVariables(checkVariablesSchema, { LOCK_TIMEOUT_SECONDS: '1.5' })).toThrow(
    "The function's environment variables are wrong. LOCK_TIMEOUT_SECONDS: Invalid input: expected int, received number",
  );
  expect(() => readVariables(checkVariablesSchema, { LOCK_TIMEOUT_SECONDS: '1' })).toThrow(
    "The function's environment variables are wrong. database: DATABASE_SECRET_ARN, DATABASE_IAM_USER or DATABASE_URL must be set",
  );
  expect(() => readVariables(sessionsVariablesSchema, { DATABASE_URL: 'postgres://host/' })).toThrow(
    'DRAIN_ROLES: Invalid input: expected string, received undefined',
  );
  expect(compiledRegistrySchema.safeParse([{ name: '' }]).error?.issues[0]?.message).toBe(
    'Too small: expected string to have >=1 characters',
  );
});

test('no text of the functions has indented lines or lines of a comment, because the bundles contain none', () => {
  const lambdas = join(import.meta.dirname, '../../lambdas');
  const files = globSync('**/*.ts', { cwd: lambdas });
  const indented = files.filter((file) => /\\n( |--)/.test(readFileSync(join(lambdas, file), 'utf8')));

  expect(files.length).toBeGreaterThan(100);
  expect(indented).toEqual([]);
});
