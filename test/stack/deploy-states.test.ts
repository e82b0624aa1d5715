import { beforeAll, describe, expect, test } from 'vitest';
import { branchesOf, changing, reachableWithout, statesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { prodInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({ prod: prodInput(), none: { ...prodInput(), services: [] } });
});

const deploy = () => machines.machine('prod', 'deploy');
const state = (name: string) => machines.state('prod', 'deploy', name);

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
    'Add Page Of Services To Hold',
    'Alert',
    'Alert Needed?',
    'Any Service To Hold?',
    'Begin',
    'Begin Hold Check',
    'Begin Lock Checks',
    'Build Indexes Online',
    'Count Lock Check',
    'Describe Lock Holder',
    'Failed',
    'List More Services To Hold',
    'List Services To Hold',
    'Lock Acquired?',
    'Lock Failed',
    'Lock Held',
    'Lock Held By Other',
    'Lock Holder Ended?',
    'Lock Holder Unknown',
    'Lock Needed?',
    'Lock Unreadable',
    'Maintenance Window',
    'Merge Services To Hold',
    'More Services To Hold?',
    'More To Build Online?',
    'No Lock Needed',
    'Own Lock?',
    'Preflight',
    'Prepare First Lock',
    'Prepare Lock',
    'Prepare Release',
    'Read Lock',
    'Read Lock Before',
    'Read Lock To Release',
    'Read Lock To Release Before',
    'Record Hold',
    'Record Left Stopped',
    'Rehearse Maintenance Window',
    'Release Lock',
    'Report',
    'Report Failed',
    'Save Hold Marker',
    'Save Left Stopped Marker',
    'Start Hold Limit',
    'Start Services',
    'Start Services After Builds?',
    'Start Services?',
    'Succeeded',
    'Succeeded?',
    'Wait For Lock',
    'What To Do?',
    'Whose Lock?',
    'Write Lock',
  ]);
  expect(deploy().StartAt).toBe('Begin');
  expect(state('Begin').Next).toBe('Read Lock');
});

describe('the lock', () => {
  test('is acquired before the preflight, and only read by a plan', () => {
    expect(state('Lock Needed?')).toMatchObject({
      Choices: [
        {
          And: [
            { Variable: '$.input.mode', IsPresent: true },
            { Variable: '$.input.mode', StringEquals: 'plan' },
          ],
          Next: 'No Lock Needed',
        },
      ],
      Default: 'Write Lock',
    });
    expect(Object.keys(reachableWithout(deploy(), 'Lock Needed?'))).not.toContain('Write Lock');
    for (const name of ['No Lock Needed', 'Lock Held', 'Lock Held By Other', 'Lock Failed']) {
      expect(state(name)).toMatchObject({ ResultPath: '$.lock', Next: 'Preflight' });
    }
  });

  test('is a parameter with the ARN of the execution and the version that the write expects', () => {
    expect(state('Prepare First Lock').Parameters).toMatchObject({ version: 1, overwrite: false });
    expect(state('Prepare Lock').Parameters).toEqual({
      'version.$': 'States.MathAdd($.lock.version, 1)',
      overwrite: true,
      value: {
        'execution.$': '$$.Execution.Id',
        'deploy.$': '$$.Execution.Name',
        'startedAt.$': '$$.Execution.StartTime',
        'version.$': 'States.MathAdd($.lock.version, 1)',
      },
    });
    expect(state('Write Lock').Parameters).toMatchObject({
      Name: '/pg-deploy-step/prod/deploy-lock',
      'Overwrite.$': '$.lockWrite.overwrite',
      'Value.$': 'States.JsonToString($.lockWrite.value)',
    });
    expect(branchesOf(state('Lock Acquired?'))).toEqual(['Lock Held', 'Read Lock']);
  });

  test('is released at the end, also if the release fails, and never deleted', () => {
    expect(branchesOf(state('Own Lock?'))).toEqual([
      'Succeeded?',
      'Read Lock To Release Before',
      'Release Lock',
      'Succeeded?',
    ]);
    for (const name of ['Read Lock To Release', 'Read Lock To Release Before', 'Release Lock']) {
      expect(state(name).Catch).toEqual(catchAll('Succeeded?', '$.lockFailure'));
    }
    expect(state('Release Lock').Next).toBe('Succeeded?');
    expect(Object.values(statesOf(deploy())).map(({ Resource: resource }) => resource)).not.toContain(
      'arn:aws:states:::aws-sdk:ssm:deleteParameter',
    );
  });
});

test.each([
  ['Preflight', INVOKES, 'What To Do?', catchAll('Report', '$.preflightFailure')],
  ['Rehearse Maintenance Window', STARTS_CHILD, 'Report', catchAll('Report', '$.windowFailure')],
  ['Maintenance Window', STARTS_CHILD, 'Start Services?', catchAll('Start Services', '$.windowFailure')],
  ['Save Left Stopped Marker', PUTS_PARAMETER, 'Report', catchAll('Report', '$.markFailure')],
  ['Start Services', STARTS_CHILD, 'Report', catchAll('Report', '$.startFailure')],
  ['Build Indexes Online', STARTS_CHILD, 'More To Build Online?', catchAll('Report', '$.buildsFailure')],
  ['Report', INVOKES, 'Alert Needed?', catchAll('Report Failed', '$.reportFailure')],
])('%s catches every error and the deploy continues', (name, resource, next, catches) => {
  const found = state(name);

  expect(found.Resource).toBe(resource);
  expect(found.Next).toBe(next);
  expect(found.Catch).toEqual(catches);
});

test('continues with the decision of the preflight, with a rehearsal in a plan, and with the report after a refusal', () => {
  expect(state('What To Do?').Choices).toEqual([
    { Variable: '$.decision', StringEquals: 'deploy', Next: 'Maintenance Window' },
    { Variable: '$.decision', StringEquals: 'indexes', Next: 'Build Indexes Online' },
    { Variable: '$.decision', StringEquals: 'start-services', Next: 'Start Services' },
    {
      And: [
        { Variable: '$.decision', StringEquals: 'nothing' },
        { Variable: '$.hold', BooleanEquals: true },
      ],
      Next: 'Begin Hold Check',
    },
    // An earlier deploy may have left services stopped.
    { Variable: '$.decision', StringEquals: 'nothing', Next: 'Start Services' },
    // Also if the plan was refused, for example because the database cannot be read.
    { Variable: '$.mode', StringEquals: 'plan', Next: 'Rehearse Maintenance Window' },
  ]);
  expect(state('What To Do?').Default).toBe('Report');
});

test('changes nothing before the decision of the preflight, but may send an alert', () => {
  expect(changing(reachableWithout(deploy(), 'Preflight'))).toEqual(['Write Lock']);
  expect(changing(reachableWithout(deploy(), 'What To Do?'))).toEqual([
    'Alert',
    'Preflight',
    'Release Lock',
    'Report',
    'Write Lock',
  ]);
});

describe('after the maintenance window', () => {
  const verdict = (services: string) => [
    { Variable: '$.window.output.services', IsPresent: true },
    { Variable: '$.window.output.services', StringEquals: services },
  ];

  test('starts the services unless the window left them stopped deliberately or did not stop them', () => {
    expect(state('Start Services?')).toMatchObject({
      Choices: [
        { And: verdict('leave-stopped'), Next: 'Record Left Stopped' },
        { And: verdict('untouched'), Next: 'Report' },
        {
          And: [
            {
              And: [
                { Variable: '$.window.output.verdict', IsPresent: true },
                { Variable: '$.window.output.verdict', StringEquals: 'ok' },
              ],
            },
            { Variable: '$.hold', BooleanEquals: true },
          ],
          Next: 'Start Hold Limit',
        },
      ],
      Default: 'Start Services',
    });
  });

  test('holds the services with a limit of its own, and starts them if that fails', () => {
    expect(state('Start Hold Limit')).toMatchObject({
      Resource: 'arn:aws:states:::states:startExecution',
      Parameters: { Input: { reason: 'hold-limit', 'deploy.$': '$.deploy' } },
      Next: 'Record Hold',
      Catch: catchAll('Start Services', '$.holdFailure'),
    });
    expect(state('Record Hold').Parameters).toEqual({
      'deploy.$': '$.deploy',
      'since.$': '$$.State.EnteredTime',
      hold: { minutes: 30, 'execution.$': '$$.Execution.Id', 'limit.$': '$.holdLimit.execution' },
    });
    expect(state('Save Hold Marker')).toMatchObject({
      Parameters: {
        Name: '/pg-deploy-step/prod/left-stopped',
        Overwrite: true,
        'Value.$': 'States.JsonToString($.holding)',
      },
      Next: 'Report',
      Catch: catchAll('Start Services', '$.holdFailure'),
    });
    expect(branchesOf(state('Any Service To Hold?'))).toEqual(['Start Hold Limit', 'Start Services']);
    expect(state('List Services To Hold').Catch).toEqual(catchAll('Report', '$.listFailure'));
  });

  test('saves a marker for services that are left stopped, so that the recovery does not start them', () => {
    expect(state('Record Left Stopped')).toMatchObject({
      Parameters: { 'deploy.$': '$.deploy', 'since.$': '$$.State.EnteredTime' },
      ResultPath: '$.stateToSave',
      Next: 'Save Left Stopped Marker',
    });
    expect(state('Save Left Stopped Marker').Parameters).toMatchObject({
      Name: '/pg-deploy-step/prod/left-stopped',
      Overwrite: true,
      'Value.$': 'States.JsonToString($.stateToSave)',
    });
  });

  test('saves no marker in an environment without services, where nothing deletes it', () => {
    expect(Object.keys(machines.machine('none', 'deploy').States)).not.toContain('Save Left Stopped Marker');
    expect(branchesOf(machines.state('none', 'deploy', 'Start Services?'))).toEqual([
      'Report',
      'Report',
      // A hold of nothing.
      'Start Services',
      'Start Services',
    ]);
  });

  test('retries for minutes to start the services', () => {
    expect(state('Start Services').Retry).toEqual([
      expect.objectContaining({ MaxAttempts: 75, JitterStrategy: 'FULL' }),
      RESTORE_RETRY,
    ]);
  });

  test('passes its execution to the window, so that a recovery can identify the deploy of a service', () => {
    expect(state('Maintenance Window').Parameters).toMatchObject({
      Input: {
        ...{ 'execution.$': '$$.Execution.Id', 'deploy.$': '$.deploy', 'indexes.$': '$.indexes' },
        rehearsal: false,
      },
    });
    expect(state('Rehearse Maintenance Window').Parameters).toEqual({
      ...state('Maintenance Window').Parameters,
      Input: { ...Object(state('Maintenance Window').Parameters?.Input), rehearsal: true },
    });
  });
});

test('starts another round of builds while builds remain', () => {
  expect(state('More To Build Online?')).toMatchObject({
    Choices: [{ Variable: '$.builds.output.decision', StringEquals: 'build', Next: 'Build Indexes Online' }],
    // Only for a deploy without a window.
    Default: 'Start Services After Builds?',
  });
});

test('ends with the status of the report, also when the alert could not be sent', () => {
  const alert = state('Alert');

  expect(alert.Resource).toBe('arn:aws:states:::sns:publish');
  expect(alert.Next).toBe('Read Lock To Release');
  expect(alert.Catch?.map((catcher) => [catcher.ErrorEquals, catcher.Next])).toEqual([
    [['States.ALL'], 'Read Lock To Release'],
  ]);
  expect(branchesOf(state('Alert Needed?'))).toEqual(['Alert', 'Read Lock To Release']);
  expect(branchesOf(state('Succeeded?'))).toEqual(['Succeeded', 'Failed']);
  expect(state('Failed')).toEqual({ Type: 'Fail', Error: 'DeployFailed', CausePath: '$.failure' });
});

test('sends an alert and fails when the report itself fails', () => {
  const reportFailed = state('Report Failed');

  expect(reportFailed.Next).toBe('Alert Needed?');
  expect(reportFailed.Parameters).toMatchObject({ report: null, status: 'failed', alert: { needed: true } });
});
