import { beforeAll, describe, expect, test } from 'vitest';
import { changing, reachableWithout, statesOf, waysOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { prodInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({ prod: prodInput(), none: { ...prodInput(), services: [] } });
});

const deploy = () => machines.machine('prod', 'deploy');
const task = (name: string) => machines.state('prod', 'deploy', name);

const catchAll = (next: string, resultPath: string) => [
  { ErrorEquals: ['States.DataLimitExceeded'], Next: next, ResultPath: resultPath },
  { ErrorEquals: ['States.ALL'], Next: next, ResultPath: resultPath },
];

const STARTS_CHILD = 'arn:aws:states:::states:startExecution.sync:2';
const INVOKES = 'arn:aws:states:::lambda:invoke';
const PUTS_PARAMETER = 'arn:aws:states:::aws-sdk:ssm:putParameter';

const RESTORE_RETRY = {
  ErrorEquals: ['States.TaskFailed', 'States.Timeout'],
  IntervalSeconds: 5,
  MaxAttempts: 12,
  BackoffRate: 2,
  MaxDelaySeconds: 60,
  JitterStrategy: 'FULL',
};

test('has these states and no others', () => {
  expect(Object.keys(statesOf(deploy())).sort()).toEqual([
    'Alert',
    'Alert Needed?',
    'Begin',
    'Build Indexes Online',
    'Failed',
    'Maintenance Window',
    'More To Build Online?',
    'Preflight',
    'Record Left Stopped',
    'Report',
    'Report Failed',
    'Save Left Stopped Marker',
    'Start Services',
    'Start Services?',
    'Succeeded',
    'Succeeded?',
    'What To Do?',
  ]);
  expect(deploy().StartAt).toBe('Begin');
  expect(task('Begin').Next).toBe('Preflight');
});

test.each([
  ['Preflight', INVOKES, 'What To Do?', catchAll('Report', '$.preflightFailure')],
  ['Maintenance Window', STARTS_CHILD, 'Start Services?', catchAll('Start Services', '$.windowFailure')],
  ['Save Left Stopped Marker', PUTS_PARAMETER, 'Report', catchAll('Report', '$.markFailure')],
  ['Start Services', STARTS_CHILD, 'Report', catchAll('Report', '$.startFailure')],
  ['Build Indexes Online', STARTS_CHILD, 'More To Build Online?', catchAll('Report', '$.buildsFailure')],
  ['Report', INVOKES, 'Alert Needed?', catchAll('Report Failed', '$.reportFailure')],
])('%s goes on to its end whatever breaks', (name, resource, next, catches) => {
  const state = task(name);

  expect(state.Resource).toBe(resource);
  expect(state.Next).toBe(next);
  expect(state.Catch).toEqual(catches);
});

test('does what the preflight decided, and only reports what it refused or planned', () => {
  expect(task('What To Do?').Choices).toEqual([
    { Variable: '$.decision', StringEquals: 'deploy', Next: 'Maintenance Window' },
    { Variable: '$.decision', StringEquals: 'indexes', Next: 'Build Indexes Online' },
    { Variable: '$.decision', StringEquals: 'start-services', Next: 'Start Services' },
    // What an earlier deploy left stopped.
    { Variable: '$.decision', StringEquals: 'nothing', Next: 'Start Services' },
  ]);
  expect(task('What To Do?').Default).toBe('Report');
});

test('changes nothing before the preflight has said so, except for telling people', () => {
  expect(changing(reachableWithout(deploy(), 'Preflight'))).toEqual([]);
  expect(changing(reachableWithout(deploy(), 'What To Do?'))).toEqual(['Alert', 'Preflight', 'Report']);
});

describe('after the maintenance window', () => {
  const verdict = (services: string) => [
    { Variable: '$.window.output.services', IsPresent: true },
    { Variable: '$.window.output.services', StringEquals: services },
  ];

  test('starts the services unless it said that they stay down or were not touched', () => {
    expect(task('Start Services?')).toMatchObject({
      Choices: [
        { And: verdict('leave-stopped'), Next: 'Record Left Stopped' },
        { And: verdict('untouched'), Next: 'Report' },
      ],
      Default: 'Start Services',
    });
  });

  test('marks services that stay down, for the recovery to see, in a parameter of its own', () => {
    expect(task('Record Left Stopped')).toMatchObject({
      Parameters: { 'deploy.$': '$.deploy', 'since.$': '$$.State.EnteredTime' },
      ResultPath: '$.stateToSave',
      Next: 'Save Left Stopped Marker',
    });
    expect(task('Save Left Stopped Marker').Parameters).toMatchObject({
      Name: '/pg-deploy-step/prod/left-stopped',
      Overwrite: true,
      'Value.$': 'States.JsonToString($.stateToSave)',
    });
    expect(task('Save Left Stopped Marker').Retry).toContainEqual(RESTORE_RETRY);
  });

  test('marks nothing where there are no services: nobody would clear it', () => {
    expect(Object.keys(machines.machine('none', 'deploy').States)).not.toContain('Save Left Stopped Marker');
    expect(waysOf(machines.state('none', 'deploy', 'Start Services?'))).toEqual([
      'Report',
      'Report',
      'Start Services',
    ]);
  });

  test('tries for minutes to start the services', () => {
    expect(task('Start Services').Retry).toEqual([RESTORE_RETRY]);
  });

  test('hands its own execution down, by which a recovery knows whose services they are', () => {
    expect(task('Maintenance Window').Parameters).toMatchObject({
      Input: { 'execution.$': '$$.Execution.Id', 'deploy.$': '$.deploy', 'indexes.$': '$.indexes' },
    });
  });
});

test('asks for another round of builds while more remain', () => {
  expect(task('More To Build Online?')).toMatchObject({
    Choices: [{ Variable: '$.builds.output.decision', StringEquals: 'build', Next: 'Build Indexes Online' }],
    Default: 'Report',
  });
});

test('ends as the report says, also when the alert could not be sent', () => {
  const alert = task('Alert');

  expect(alert.Resource).toBe('arn:aws:states:::sns:publish');
  expect(alert.Next).toBe('Succeeded?');
  expect(alert.Catch?.map((catcher) => [catcher.ErrorEquals, catcher.Next])).toEqual([
    [['States.ALL'], 'Succeeded?'],
  ]);
  expect(waysOf(task('Alert Needed?'))).toEqual(['Alert', 'Succeeded?']);
  expect(waysOf(task('Succeeded?'))).toEqual(['Succeeded', 'Failed']);
  expect(task('Failed')).toEqual({ Type: 'Fail', Error: 'DeployFailed', CausePath: '$.failure' });
});

test('alerts and fails when the report itself is lost', () => {
  const lost = task('Report Failed');

  expect(lost.Next).toBe('Alert Needed?');
  expect(lost.Parameters).toMatchObject({ report: null, status: 'failed', alert: { needed: true } });
});
