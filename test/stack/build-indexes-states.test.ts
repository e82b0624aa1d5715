import { beforeAll, expect, test } from 'vitest';
import { branchesOf, statesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { prodInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({ prod: prodInput() });
});

const state = (name: string) => machines.state('prod', 'build-indexes', name);

const THROTTLING_ERRORS = [
  'Lambda.ServiceException',
  'Lambda.SdkClientException',
  'Lambda.TooManyRequestsException',
];
const LAMBDA_ERRORS = ['Lambda.ClientExecutionTimeoutException', 'Lambda.AWSLambdaException'];

test('has these states and no others', () => {
  expect(Object.keys(statesOf(machines.machine('prod', 'build-indexes'))).sort()).toEqual([
    'Anything To Build?',
    'Batch Failed',
    'Build Batch',
    'Build Batches',
    'Build Index',
    'Build Lane',
    'Build Lanes',
    'Builds Done',
    'Check Index',
    'Index Done',
    'Index Not Settled',
    'Index Settled',
    'Index Valid?',
    'More To Build?',
    'Plan',
    'Plan Again',
    'Settle Index',
    'Still Building?',
    'Unreadable Result',
    'Wait For Build',
  ]);
});

test('builds on the configured number of tables at the same time, one index at a time for each table', () => {
  expect(state('Build Lanes').MaxConcurrency).toBe(4);
  expect(state('Build Lane').MaxConcurrency).toBe(1);
});

test('makes 10 attempts for errors that may not occur again, and one for others', () => {
  const [throttled, lambda, idle, build, ...more] = state('Build Index').Retry ?? [];

  expect(throttled?.ErrorEquals).toEqual(expect.arrayContaining(THROTTLING_ERRORS));
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
      // States.ALL does not include it.
      { ErrorEquals: ['States.DataLimitExceeded'], Next: 'Settle Index', ResultPath: '$.error' },
      { ErrorEquals: ['States.ALL'], Next: 'Settle Index', ResultPath: '$.error' },
    ]);
  },
);

test('a failure of Settle Index itself is caught, and the state carries only names', () => {
  expect(state('Settle Index').Next).toBe('Index Settled');
  expect(state('Settle Index').Catch).toEqual([
    { ErrorEquals: ['States.DataLimitExceeded'], Next: 'Index Not Settled', ResultPath: '$.settleError' },
    { ErrorEquals: ['States.ALL'], Next: 'Index Not Settled', ResultPath: '$.settleError' },
  ]);
  expect(state('Index Settled')).toMatchObject({
    Parameters: { settled: { 'index.$': '$.index', 'error.$': '$.error.Error' } },
    End: true,
  });
  expect(state('Index Not Settled')).toMatchObject({
    Parameters: {
      settled: { 'index.$': '$.index', 'error.$': '$.error.Error', 'settleError.$': '$.settleError.Error' },
    },
    End: true,
  });
  expect(state('Index Done')).toMatchObject({ Result: {}, End: true });
});

test('Plan Again gets the failures of the round, and the plan gets those of earlier rounds', () => {
  expect(state('Build Lanes').ResultPath).toBe('$.lanes');
  expect(state('Plan').Parameters).toMatchObject({
    Payload: { 'request.$': '$$.Execution.Input', 'execution.$': '$$.Execution.Name' },
  });
  expect(state('Plan Again').Parameters).toMatchObject({
    Payload: {
      'request.$': '$$.Execution.Input',
      'execution.$': '$$.Execution.Name',
      'settled.$': '$.lanes[*][*].settled',
      'unrecordedFailures.$': '$.unrecordedFailures[*]',
    },
  });
});

test('builds batches before the lanes, no more at the same time than are configured, and a failed batch is no error', () => {
  expect(state('Build Batches')).toMatchObject({
    MaxConcurrency: 4,
    ItemsPath: '$.batches',
    ResultPath: '$.batches',
    Next: 'Build Lanes',
  });
  expect(state('Build Batch').Parameters).toMatchObject({
    Payload: { 'batch.$': '$.batch', 'until.$': '$.until', 'request.$': '$$.Execution.Input' },
  });
  expect(state('Build Batch').Retry?.at(-1)?.ErrorEquals).toEqual([
    'ConnectionLost',
    'LockNotAvailable',
    'Deadlock',
  ]);
  expect(state('Build Batch').Catch?.map(({ Next }) => Next)).toEqual(['Batch Failed', 'Batch Failed']);
  expect(state('Batch Failed')).toMatchObject({ Parameters: { 'error.$': '$.error.Error' }, End: true });
  expect(state('Plan Again').Parameters).toMatchObject({
    Payload: { 'failedBatches.$': '$.failedBatches[*]', 'batchErrors.$': '$.batches[*].error' },
  });
});

test('checks a long build until it ends, and restarts an interrupted build', () => {
  const branches = ['Unreadable Result', 'Wait For Build', 'Build Index', 'Index Done', 'Unreadable Result'];

  expect(branchesOf(state('Still Building?'))).toEqual(branches);
  expect(branchesOf(state('Index Valid?'))).toEqual(branches);
  expect(state('Unreadable Result')).toMatchObject({ Next: 'Settle Index', ResultPath: '$.error' });
  expect(state('Wait For Build')).toMatchObject({
    SecondsPath: '$.build.output.waitSeconds',
    Next: 'Check Index',
  });
});

test('continues with the remaining builds only if no parent execution starts a new round', () => {
  expect(branchesOf(state('Anything To Build?'))).toEqual(['Build Batches', 'Build Lanes', 'Builds Done']);
  expect(state('More To Build?')).toMatchObject({
    Choices: [
      {
        And: [
          { Variable: '$.decision', StringEquals: 'build' },
          { Not: { Variable: '$$.Execution.Input.deploy', IsPresent: true } },
          { Variable: '$.batches[0]', IsPresent: true },
        ],
        Next: 'Build Batches',
      },
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
