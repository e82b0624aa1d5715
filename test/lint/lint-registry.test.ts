import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { MIGRATION_RULES } from '../../lib/lint/migrations/migration-rules.ts';
import { lintRegistry } from '../../lib/lint/registry/lint-registry.ts';
import { loadRegistry } from '../../lib/registry/load-registry.ts';
import { REGISTRY_RULES } from '../../lib/registry/registry-rules.ts';
import { entry, lintEntries, rulesFound } from './registry-support.ts';

const DEMO = fileURLToPath(new URL('../../database/indexes.ts', import.meta.url));

test('the demo has no finding that is not accepted', async () => {
  expect(await lintRegistry(DEMO)).toEqual([]);
  expect(await lintRegistry(DEMO, { tenantColumn: null })).toEqual([]);
});

test('every problem of a registry is an error at its place, in the order of the file', async () => {
  const entries = [
    { ...entry('a', 't (a)'), crticial: true },
    { ...entry('b', 't (b)'), sql: 'create index b on t (b)' },
    entry('b', 't (b, c)'),
    entry('b', 't (b, d)'),
  ];
  const findings = await lintEntries(entries);
  expect(findings.map(({ rule, severity, line }) => `${line} ${severity} ${rule}`)).toEqual([
    '2 error entry-form',
    '3 error statement',
    '3 error statement',
    '5 error duplicate-name',
  ]);
  expect(findings[3]?.message).toMatch(
    /^entry 4 "b": name: entry 3 "b" has this name in schema "public" too/,
  );
});

test('valid entries are checked although others have errors', async () => {
  const entries = [entry('a', 't (a)'), 7, entry('b', 't (a, b)')];
  expect(await rulesFound(entries)).toEqual(['redundant-index of a', 'entry-form of undefined']);
});

test('a file that cannot be read is a finding with the message of the compile step', async () => {
  for (const file of ['none/indexes.ts', 'none/indexes.yaml']) {
    const message = await loadRegistry(file).then(
      () => '',
      (error: Error) => error.message,
    );
    const [finding, ...others] = await lintRegistry(file);
    expect(others).toEqual([]);
    expect(finding).toMatchObject({ rule: 'registry-file', severity: 'error', file, line: 1, column: 1 });
    expect(message).toBe(`The index registry is wrong. ${file}:1:1: ${finding?.message}`);
  }
});

test('in a registry of thousands of indexes on hundreds of tables every overlap is found', async () => {
  const entries = Array.from({ length: 3000 }, (_, number) =>
    entry(`idx_${number}`, `t${number % 300} (${number < 300 ? 'a, b' : `c${number}, b`})`),
  );
  entries.push(...Array.from({ length: 300 }, (_, number) => entry(`short_${number}`, `t${number} (a)`)));
  const found = await rulesFound(entries);
  expect(found).toHaveLength(300);
  expect(new Set(found.map((text) => text.split(' ')[0]))).toEqual(new Set(['redundant-index']));
});

test('docs/lint.md lists every rule of the registry and of migrations, with its severity and its sentence', () => {
  const docs = readFileSync(new URL('../../docs/lint.md', import.meta.url), 'utf8');
  const rows = docs.split('\n').map((row) => row.split('|').map((cell) => cell.trim()));
  for (const [name, { severity, sentence }] of Object.entries({
    ...REGISTRY_RULES,
    ...MIGRATION_RULES,
  })) {
    expect(rows).toContainEqual(expect.arrayContaining([`\`${name}\``, severity, sentence]));
  }
});
