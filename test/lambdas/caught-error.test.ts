import { expect, test } from 'vitest';
import { describeCaught } from '../../lambdas/shared/caught-error.ts';

test.each([
  ['an error with plain text', 'no such thing', 'no such thing'],
  [
    "a function's error",
    { errorType: 'X', errorMessage: 'reported by the function', trace: [] },
    'reported by the function',
  ],
  [
    "a child's error that contains its own Cause",
    { Error: 'Inner', Cause: JSON.stringify({ errorMessage: 'from within' }) },
    'Inner: from within',
  ],
  ["a child's status", { Status: 'ABORTED' }, 'the execution ended with status ABORTED'],
  [
    'a stopped ECS task with the exit codes of its containers',
    {
      StoppedReason: 'Essential container in task exited',
      Containers: [{ ExitCode: 3 }, { Name: 'sidecar' }],
    },
    'Essential container in task exited (exit code 3)',
  ],
  [
    'an ECS task that did not start',
    { StoppedReason: 'CannotPullContainerError' },
    'CannotPullContainerError',
  ],
])('the Cause of %s is described in words', (_what, cause, expected) => {
  const text = typeof cause === 'string' ? cause : JSON.stringify(cause);
  expect(describeCaught({ Error: 'E', Cause: text })).toBe(`E: ${expected}`);
});

test('an error without a Cause is described as such', () => {
  expect(describeCaught({ Error: 'States.Timeout', Cause: null })).toBe(
    'States.Timeout: no cause was reported',
  );
});
