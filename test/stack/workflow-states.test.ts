import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Definition,
  definitionsOf,
  type MachineName,
  stateOf,
  statesOf,
  waysOf,
} from './support/definitions.ts';
import { prodInput, type Synthesised, synthesise } from './support/synthesise.ts';

let synthesised: Synthesised;
let machines: Record<MachineName, Definition>;

beforeAll(async () => {
  synthesised = await synthesise({ prod: prodInput() });
  machines = definitionsOf(synthesised.template('prod'), 'prod');
});
afterAll(() => synthesised?.dispose());

const catchAll = (next: string, resultPath: string) => [
  { ErrorEquals: ['States.DataLimitExceeded'], Next: next, ResultPath: resultPath },
  { ErrorEquals: ['States.ALL'], Next: next, ResultPath: resultPath },
];

const LAMBDA_ERRORS = [
  'Lambda.ClientExecutionTimeoutException',
  'Lambda.ServiceException',
  'Lambda.AWSLambdaException',
  'Lambda.SdkClientException',
  'Lambda.TooManyRequestsException',
];

const task = (machine: MachineName, name: string) => stateOf(machines[machine], name);
const startsChild = 'arn:aws:states:::states:startExecution.sync:2';
const invokes = 'arn:aws:states:::lambda:invoke';

describe('deploy', () => {
  test('has these states and no others', () => {
    expect(Object.keys(statesOf(machines.deploy)).sort()).toEqual([
      'Alert',
      'Alert Needed?',
      'Begin',
      'Build Indexes Online',
      'Build Indexes Online: More?',
      'Failed',
      'Leave Services Stopped?',
      'Maintenance Window',
      'Preflight',
      'Report',
      'Report Lost',
      'Start Services',
      'Succeeded',
      'Succeeded?',
      'What To Do?',
    ]);
    expect(machines.deploy.StartAt).toBe('Begin');
    expect(task('deploy', 'Begin').Next).toBe('Preflight');
  });

  test.each([
    ['Preflight', invokes, 'What To Do?', catchAll('Report', '$.preflightFailure')],
    [
      'Maintenance Window',
      startsChild,
      'Leave Services Stopped?',
      catchAll('Start Services', '$.windowFailure'),
    ],
    ['Start Services', startsChild, 'Report', catchAll('Report', '$.startFailure')],
    [
      'Build Indexes Online',
      startsChild,
      'Build Indexes Online: More?',
      catchAll('Report', '$.buildsFailure'),
    ],
    ['Report', invokes, 'Alert Needed?', catchAll('Report Lost', '$.reportFailure')],
  ])('%s goes on to its end whatever breaks', (name, resource, next, catches) => {
    const state = task('deploy', name);

    expect(state.Resource).toBe(resource);
    expect(state.Next).toBe(next);
    expect(state.Catch).toEqual(catches);
  });

  test('does what the preflight decided, and only reports what it refused', () => {
    expect(task('deploy', 'What To Do?').Choices).toEqual([
      { Variable: '$.decision', StringEquals: 'deploy', Next: 'Maintenance Window' },
      { Variable: '$.decision', StringEquals: 'indexes', Next: 'Build Indexes Online' },
      { Variable: '$.decision', StringEquals: 'start-services', Next: 'Start Services' },
    ]);
    expect(task('deploy', 'What To Do?').Default).toBe('Report');
  });

  test('starts the services unless the window said that they stay down', () => {
    expect(task('deploy', 'Leave Services Stopped?')).toMatchObject({
      Choices: [
        {
          And: [
            { Variable: '$.window.output.services', IsPresent: true },
            { Variable: '$.window.output.services', StringEquals: 'leave-stopped' },
          ],
          Next: 'Report',
        },
      ],
      Default: 'Start Services',
    });
  });

  test('tries for minutes to start the services', () => {
    expect(task('deploy', 'Start Services').Retry).toEqual([
      {
        ErrorEquals: ['States.TaskFailed', 'States.Timeout'],
        IntervalSeconds: 5,
        MaxAttempts: 12,
        BackoffRate: 2,
        MaxDelaySeconds: 60,
        JitterStrategy: 'FULL',
      },
    ]);
  });

  test('asks for another round of builds while more remain', () => {
    expect(task('deploy', 'Build Indexes Online: More?')).toMatchObject({
      Choices: [
        { Variable: '$.builds.output.decision', StringEquals: 'build', Next: 'Build Indexes Online' },
      ],
      Default: 'Report',
    });
  });

  test('ends as the report says, also when the alert could not be sent', () => {
    const alert = task('deploy', 'Alert');

    expect(alert.Resource).toBe('arn:aws:states:::sns:publish');
    expect(alert.Next).toBe('Succeeded?');
    expect(alert.Catch?.map((catcher) => [catcher.ErrorEquals, catcher.Next])).toEqual([
      [['States.ALL'], 'Succeeded?'],
    ]);
    expect(waysOf(task('deploy', 'Alert Needed?'))).toEqual(['Alert', 'Succeeded?']);
    expect(waysOf(task('deploy', 'Succeeded?'))).toEqual(['Succeeded', 'Failed']);
    expect(task('deploy', 'Failed')).toEqual({
      Type: 'Fail',
      Error: 'DeployFailed',
      CausePath: '$.failure',
    });
  });

  test('alerts and fails when the report itself is lost', () => {
    const lost = task('deploy', 'Report Lost');

    expect(lost.Next).toBe('Alert Needed?');
    expect(lost.Parameters).toMatchObject({ report: null, status: 'failed', alert: { needed: true } });
  });
});

describe('maintenance-window', () => {
  test('has these states and no others', () => {
    expect(Object.keys(machines['maintenance-window'].States).sort()).toEqual([
      'All Built',
      'All Stopped?',
      'Begin Window',
      'Build Indexes',
      'Build Indexes: More?',
      'Critical Index Failed',
      'Critical Index Lost?',
      'Look At Outcomes',
      'Migration Broke',
      'Migration Failed',
      'Migrations Applied?',
      'Run Migrations',
      'Services Not Stopped',
      'Stop Services',
    ]);
  });

  test('carries the configured services and an answer of the migrations that is null until they ran', () => {
    expect(task('maintenance-window', 'Begin Window').Parameters).toEqual({
      'deploy.$': '$.deploy',
      'indexes.$': '$.indexes',
      services: [
        {
          name: 'api',
          cluster: 'prod',
          service: 'api',
          scaling: true,
          resourceId: 'service/prod/api',
          parameter: '/pg-deploy-step/prod/services/api',
        },
        {
          name: 'worker',
          cluster: 'prod',
          service: 'worker',
          scaling: false,
          resourceId: 'service/prod/worker',
          parameter: '/pg-deploy-step/prod/services/worker',
        },
      ],
      stopped: [],
      migrations: { output: null },
    });
  });

  test('remembers a count before it stops anything, and keeps the count that an earlier run remembered', () => {
    expect(waysOf(task('maintenance-window', 'Service Found?'))).toEqual(['Note Count', 'Service Not Found']);
    expect(task('maintenance-window', 'Note Count').Next).toBe('Remember Count');
    const remember = task('maintenance-window', 'Remember Count');
    expect(remember.Resource).toBe('arn:aws:states:::aws-sdk:ssm:putParameter');
    expect(remember.Parameters).toMatchObject({ Overwrite: false });
    expect(remember.Next).toBe('Has Scaling?');
    expect(remember.Catch).toEqual([
      {
        ErrorEquals: ['Ssm.ParameterAlreadyExistsException'],
        Next: 'Recall Remembered Count',
        ResultPath: null,
      },
    ]);
    expect(task('maintenance-window', 'Recall Remembered Count').Next).toBe('Keep Remembered Count');
    expect(task('maintenance-window', 'Keep Remembered Count').Next).toBe('Has Scaling?');
  });

  test('suspends all scaling before the count goes to 0', () => {
    expect(waysOf(task('maintenance-window', 'Has Scaling?'))).toEqual(['Suspend Scaling', 'Stop Tasks']);
    const suspend = task('maintenance-window', 'Suspend Scaling');
    expect(suspend.Resource).toBe('arn:aws:states:::aws-sdk:applicationautoscaling:registerScalableTarget');
    expect(suspend.Parameters).toMatchObject({
      SuspendedState: {
        DynamicScalingInSuspended: true,
        DynamicScalingOutSuspended: true,
        ScheduledScalingSuspended: true,
      },
    });
    expect(suspend.Parameters).not.toHaveProperty('MinCapacity');
    expect(suspend.Next).toBe('Stop Tasks');
    expect(task('maintenance-window', 'Stop Tasks').Parameters).toMatchObject({ DesiredCount: 0 });
  });

  test('calls a service stopped when it has no running and no pending task', () => {
    expect(task('maintenance-window', 'Stopped?')).toMatchObject({
      Choices: [
        {
          And: [
            { Variable: '$.counts.running', NumericEquals: 0 },
            { Variable: '$.counts.pending', NumericEquals: 0 },
          ],
          Next: 'Service Stopped',
        },
        // 10 minutes, looked at every 10 seconds
        { Variable: '$.looks.count', NumericGreaterThanEquals: 60, Next: 'Service Not Stopped' },
      ],
      Default: 'Wait Until Stopped',
    });
    expect(task('maintenance-window', 'Service Not Found').Parameters).toMatchObject({ stoppedAt: null });
  });

  test('runs no migration while a service runs', () => {
    expect(task('maintenance-window', 'Stop Services').Next).toBe('Look At Outcomes');
    expect(waysOf(task('maintenance-window', 'All Stopped?'))).toEqual([
      'Services Not Stopped',
      'Run Migrations',
    ]);
  });

  test('tells a migration that failed from one that is retried', () => {
    const run = task('maintenance-window', 'Run Migrations');

    expect(run.Retry?.[2]).toEqual({
      ErrorEquals: ['MigrationLocked', 'LockNotAvailable', 'ConnectionLost'],
      IntervalSeconds: 2,
      MaxAttempts: 4,
      BackoffRate: 2,
      MaxDelaySeconds: 30,
      JitterStrategy: 'FULL',
    });
    expect(run.Catch).toEqual([
      { ErrorEquals: ['States.ALL'], Next: 'Migration Broke', ResultPath: '$.migrationError' },
    ]);
    expect(task('maintenance-window', 'Migration Broke').Parameters).toMatchObject({
      output: { status: 'failed', failure: { file: null, sqlstate: null } },
    });
    expect(task('maintenance-window', 'Migration Broke').Next).toBe('Migration Failed');
    expect(waysOf(task('maintenance-window', 'Migrations Applied?'))).toEqual([
      'Build Indexes',
      'Migration Failed',
    ]);
  });

  test.each([
    ['All Built', 'ok', 'start'],
    ['Services Not Stopped', 'services-not-stopped', 'start'],
    ['Migration Failed', 'migration-failed', 'start'],
    ['Critical Index Failed', 'critical-failed', 'leave-stopped'],
  ])('ends at %s with the verdict %s and services: %s', (name, verdict, services) => {
    const end = task('maintenance-window', name);

    expect(end.End).toBe(true);
    expect(end.Parameters).toEqual({
      verdict,
      services,
      'stopped.$': '$.stopped',
      'migrations.$': '$.migrations.output',
    });
  });

  test('judges the critical indexes when no more builds remain', () => {
    expect(waysOf(task('maintenance-window', 'Build Indexes: More?'))).toEqual([
      'Build Indexes',
      'Critical Index Lost?',
    ]);
    expect(task('maintenance-window', 'Critical Index Lost?')).toMatchObject({
      Choices: [
        {
          Variable: '$.builds.output.failed.critical',
          NumericGreaterThan: 0,
          Next: 'Critical Index Failed',
        },
      ],
      Default: 'All Built',
    });
  });
});

describe('build-indexes', () => {
  test('has these states and no others', () => {
    expect(Object.keys(statesOf(machines['build-indexes'])).sort()).toEqual([
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
      'Plan What Remains',
      'Settle Index',
      'Still Building?',
      'Wait For Build',
    ]);
  });

  test('works on as many tables at once as configured, and on each with one build at a time', () => {
    expect(task('build-indexes', 'Build Lanes').MaxConcurrency).toBe(4);
    expect(task('build-indexes', 'Build Lane').MaxConcurrency).toBe(1);
  });

  test('tries a build 10 times on the errors that another attempt may mend, and on no other', () => {
    const [lambda, idle, build, ...more] = task('build-indexes', 'Build Index').Retry ?? [];

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
    expect(task('build-indexes', name).Catch).toEqual([
      { ErrorEquals: ['States.ALL'], Next: 'Settle Index', ResultPath: '$.error' },
    ]);
  });

  test('looks at a long build until it is valid, and builds an interrupted one again', () => {
    const ways = ['Wait For Build', 'Build Index', 'Index Done'];

    expect(waysOf(task('build-indexes', 'Still Building?'))).toEqual(ways);
    expect(waysOf(task('build-indexes', 'Index Valid?'))).toEqual(ways);
    expect(task('build-indexes', 'Wait For Build')).toMatchObject({
      SecondsPath: '$.build.output.waitSeconds',
      Next: 'Check Index',
    });
    expect(task('build-indexes', 'Settle Index').Next).toBe('Index Done');
  });

  test('goes on by itself only where a person started it: a parent begins a new history', () => {
    expect(waysOf(task('build-indexes', 'Anything To Build?'))).toEqual(['Build Lanes', 'Builds Done']);
    expect(task('build-indexes', 'More To Build?')).toMatchObject({
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
});

describe('start-services', () => {
  test('has these states and no others', () => {
    expect(Object.keys(statesOf(machines['start-services'])).sort()).toEqual([
      'Begin Waiting Until Steady',
      'Configured Services',
      'Count Look Whether Steady',
      'Forget Count',
      'Is Steady?',
      'Look Whether Steady',
      'Note Not Steady',
      'Note Steady',
      'Nothing Remembered',
      'Recall Count',
      'Resume Scaling',
      'Scaling To Resume?',
      'Service Done',
      'Start Services',
      'Start Tasks',
      'Steady?',
      'Wait Until Steady',
    ]);
  });

  test('leaves a service alone that was not remembered', () => {
    expect(task('start-services', 'Recall Count').Catch).toEqual([
      { ErrorEquals: ['Ssm.ParameterNotFoundException'], Next: 'Nothing Remembered', ResultPath: null },
    ]);
    expect(task('start-services', 'Nothing Remembered').Parameters).toEqual({
      'name.$': '$.service.name',
      outcome: 'nothing-remembered',
      startedAt: null,
      stoppedAt: null,
      desiredCount: null,
    });
  });

  test('starts the remembered count and looks until the deadline', () => {
    expect(task('start-services', 'Start Tasks').Parameters).toMatchObject({
      'DesiredCount.$': '$.memory.value.desiredCount',
    });
    expect(task('start-services', 'Steady?')).toMatchObject({
      Choices: [
        {
          Variable: '$.counts.running',
          NumericEqualsPath: '$.memory.value.desiredCount',
          Next: 'Note Steady',
        },
        // 15 minutes, looked at every 10 seconds
        { Variable: '$.looks.count', NumericGreaterThanEquals: 90, Next: 'Note Not Steady' },
      ],
      Default: 'Wait Until Steady',
    });
  });

  test('resumes scaling in any case, and forgets only what runs steadily', () => {
    for (const name of ['Note Steady', 'Note Not Steady']) {
      expect(task('start-services', name).Next).toBe('Scaling To Resume?');
    }
    expect(task('start-services', 'Note Not Steady').Parameters).toEqual({
      outcome: 'not-steady',
      startedAt: null,
    });
    expect(waysOf(task('start-services', 'Scaling To Resume?'))).toEqual(['Resume Scaling', 'Is Steady?']);
    expect(task('start-services', 'Resume Scaling').Parameters).toMatchObject({
      SuspendedState: {
        DynamicScalingInSuspended: false,
        DynamicScalingOutSuspended: false,
        ScheduledScalingSuspended: false,
      },
    });
    expect(waysOf(task('start-services', 'Is Steady?'))).toEqual(['Forget Count', 'Service Done']);
  });
});
