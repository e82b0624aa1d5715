import { expect, test } from 'vitest';
import { describeCaught } from '../../lambdas/shared/caught-error.ts';

test.each([
  ['plain text', 'no such thing', 'no such thing'],
  [
    "a function's error",
    { errorType: 'X', errorMessage: 'told by the function', trace: [] },
    'told by the function',
  ],
  [
    "a child's error, with its own cause in it",
    { Error: 'Inner', Cause: JSON.stringify({ errorMessage: 'from within' }) },
    'Inner: from within',
  ],
  ["a child's end", { Status: 'ABORTED' }, 'the execution ended as ABORTED'],
  [
    'a task that stopped, with the exit codes of its containers',
    {
      StoppedReason: 'Essential container in task exited',
      Containers: [{ ExitCode: 3 }, { Name: 'sidecar' }],
    },
    'Essential container in task exited (exit code 3)',
  ],
  [
    'a task that did not come to run',
    { StoppedReason: 'CannotPullContainerError' },
    'CannotPullContainerError',
  ],
])('a Cause that is %s is told in words', (_what, cause, expected) => {
  const text = typeof cause === 'string' ? cause : JSON.stringify(cause);
  expect(describeCaught({ Error: 'E', Cause: text })).toBe(`E: ${expected}`);
});

test('without a Cause that is said', () => {
  expect(describeCaught({ Error: 'States.Timeout', Cause: null })).toBe('States.Timeout: no cause was given');
});
