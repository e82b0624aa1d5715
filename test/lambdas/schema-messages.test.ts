import { execFileSync } from 'node:child_process';
import { expect, test } from 'vitest';

// A process each: the messages are a setting of the whole process.
const messageAfter = (statements: string): string =>
  execFileSync(
    process.execPath,
    [
      '--input-type=module',
      '--eval',
      `import { readVariables } from './lambdas/shared/database-variables.ts';
      import { object, strictObject } from './lambdas/shared/zod.ts';
      ${statements}
      process.stdout.write(strictObject({}).safeParse({ a: 1 }).error.issues[0].message);`,
    ],
    { encoding: 'utf8' },
  );

test('a function has messages once it has read its variables, because the mini form of zod has none', () => {
  expect(messageAfter('readVariables(object({}))')).toBe('Unrecognized key: "a"');
});

test('an app that imports the schemas keeps its own messages, or none', () => {
  expect(messageAfter('')).toBe('Invalid input');
  expect(
    messageAfter(
      "import { config } from 'zod/mini'; config({ localeError: () => 'Of the app' }); readVariables(object({}))",
    ),
  ).toBe('Of the app');
});
