import { beforeAll, expect, test } from 'vitest';
import { branchesOf, statesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { prodInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({ prod: prodInput() });
});

const state = (name: string) => machines.state('prod', 'build-indexes', name);

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

test('builds on the configured number of tables at the same time, one index at a time for each table', () => {
  expect(state('Build Lanes').MaxConcurrency).toBe(4);
  expect(state('Build Lane').MaxConcurrency).toBe(1);
});

test('makes 10 attempts for errors that may not occur again, and one for others', () => {
  const [lambda, idle, build, ...more] = state('Build Index').Retry ?? [];

  expect(lambda?.ErrorEquals).toEqual(expect.arrayContaining(LAMBDA_ERRORS));
  expect(idle?.ErrorEquals).toContain('Lambda.ResourceNotReadyException');
  expect(build).toEqual({
    ErrorEquals: [
      'LockNotAvailable',
      'Deadlock',
      'ConnectionLost',
      'BuildInterrupted',
      // The function timed out or was out of memory. Its build may still be running.
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

test.each(['Build Index', 'Check Index'])(
  'after the last attempt of %s, Settle Index records the failure',
  (name) => {
    expect(state(name).Catch).toEqual([
      { ErrorEquals: ['States.ALL'], Next: 'Settle Index', ResultPath: '$.error' },
    ]);
  },
);

test('checks a long build until it ends, and restarts an interrupted build', () => {
  const branches = ['Wait For Build', 'Build Index', 'Index Done'];

  expect(branchesOf(state('Still Building?'))).toEqual(branches);
  expect(branchesOf(state('Index Valid?'))).toEqual(branches);
  expect(state('Wait For Build')).toMatchObject({
    SecondsPath: '$.build.output.waitSeconds',
    Next: 'Check Index',
  });
  expect(state('Settle Index').Next).toBe('Index Done');
});

test('continues with the remaining builds only if no parent execution starts a new round', () => {
  expect(branchesOf(state('Anything To Build?'))).toEqual(['Build Lanes', 'Builds Done']);
  expect(state('More To Build?')).toMatchObject({
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
