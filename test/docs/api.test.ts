import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { exportsOf } from '../../packaging/api-source.ts';
import { apiText } from '../../packaging/api-text.ts';

const ROOT = join(import.meta.dirname, '../..');

test('API.md is up to date with the types and their comments: npm run api writes it', () => {
  expect(readFileSync(join(ROOT, 'API.md'), 'utf8')).toBe(apiText(ROOT));
});

test('API.md describes everything that the package exports, with a comment and a default for each property', () => {
  const text = apiText(ROOT);
  for (const { name, documentation } of exportsOf(join(ROOT, 'lib/index.ts'))) {
    expect(text).toContain(`\n### ${name}\n`);
    expect(documentation.text, name).not.toBe('');
  }
  expect(text).toMatch(
    /^\| `stopMinutes` \| `number` \| 10 \| Deadline for a service to stop, in minutes\. \|$/m,
  );
  expect(text).toMatch(/^\| `grantStartExecution\(grantee: IGrantable\): Grant` \| Allows a principal/m);
});
