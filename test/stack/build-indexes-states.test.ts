import { beforeAll, expect, test } from 'vitest';
import { statesOf, waysOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { prodInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({ prod: prodInput() });
});

const task = (name: string) => machines.state('prod', 'build-indexes', name);

const LAMBDA_ERRORS = [
  'Lambda.ClientExecutionTimeoutException',
  'Lambda.ServiceException',
  'Lambda.AWSLambdaException',
  'Lambda.SdkClientException',
  'Lambda.TooManyRequestsException',
];

test('has these states and no others', () => {
  expect(Object.keys(statesOf(machines.machine('prod', 'build-indexes'))).sort()).toEqual([
    'Anything To Build?',
    'Build Index',
    'Build Lane',
    'Build Lanes',
    'Builds Done',
    'Check Index',
    'Index Done',
    'Index Valid?',
    'More To Build?',
    'Plan',
    'Plan Again',
    'Settle Index',
    'Still Building?',
    'Wait For Build',
  ]);
});

test('works on as many tables at once as configured, and on each with one build at a time', () => {
  expect(task('Build Lanes').MaxConcurrency).toBe(4);
  expect(task('Build Lane').MaxConcurrency).toBe(1);
});

test('tries a build 10 times on the errors that another attempt may mend, and on no other', () => {
  const [lambda, idle, build, ...more] = task('Build Index').Retry ?? [];

  expect(lambda?.ErrorEquals).toEqual(expect.arrayContaining(LAMBDA_ERRORS));
  expect(idle?.ErrorEquals).toContain('Lambda.ResourceNotReadyException');
  expect(build).toEqual({
    ErrorEquals: [
      'LockNotAvailable',
      'Deadlock',
      'ConnectionLost',
      'BuildInterrupted',
      // The function ran into its own time limit, or out of memory: its backend may still be at work.
      'Sandbox.Timedout',
    ],
    IntervalSeconds: 1,
    MaxAttempts: 9,
    BackoffRate: 2,
    MaxDelaySeconds: 300,
    JitterStrategy: 'FULL',
  });
  expect(more).toEqual([]);
});

test.each(['Build Index', 'Check Index'])('%s hands an error that stays to Settle Index', (name) => {
  expect(task(name).Catch).toEqual([
    { ErrorEquals: ['States.ALL'], Next: 'Settle Index', ResultPath: '$.error' },
  ]);
});

test('looks at a long build until it is valid, and builds an interrupted one again', () => {
  const ways = ['Wait For Build', 'Build Index', 'Index Done'];

  expect(waysOf(task('Still Building?'))).toEqual(ways);
  expect(waysOf(task('Index Valid?'))).toEqual(ways);
  expect(task('Wait For Build')).toMatchObject({
    SecondsPath: '$.build.output.waitSeconds',
    Next: 'Check Index',
  });
  expect(task('Settle Index').Next).toBe('Index Done');
});

test('goes on by itself only where a person started it: a parent begins a new history', () => {
  expect(waysOf(task('Anything To Build?'))).toEqual(['Build Lanes', 'Builds Done']);
  expect(task('More To Build?')).toMatchObject({
    Choices: [
      {
        And: [
          { Variable: '$.decision', StringEquals: 'build' },
          { Not: { Variable: '$$.Execution.Input.deploy', IsPresent: true } },
        ],
        Next: 'Build Lanes',
      },
    ],
    Default: 'Builds Done',
  });
});
