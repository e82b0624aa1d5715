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
      'Maintenance Window',
      'Mark Left Stopped',
      'Note Left Stopped',
      'Preflight',
      'Report',
      'Report Lost',
      'Start Services',
      'Succeeded',
      'Succeeded?',
      'What Of The Services?',
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
      'What Of The Services?',
      catchAll('Start Services', '$.windowFailure'),
    ],
    [
      'Mark Left Stopped',
      'arn:aws:states:::aws-sdk:ssm:putParameter',
      'Report',
      catchAll('Report', '$.markFailure'),
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
      { Variable: '$.decision', StringEquals: 'nothing', Next: 'Start Services' },
    ]);
    expect(task('deploy', 'What To Do?').Default).toBe('Report');
  });

  test('starts the services unless the window said that they stay down or were never touched', () => {
    const said = (services: string, next: string) => ({
      And: [
        { Variable: '$.window.output.services', IsPresent: true },
        { Variable: '$.window.output.services', StringEquals: services },
      ],
      Next: next,
    });
    expect(task('deploy', 'What Of The Services?').Choices).toEqual([
      said('leave-stopped', 'Note Left Stopped'),
      said('untouched', 'Report'),
    ]);
    expect(task('deploy', 'What Of The Services?').Default).toBe('Start Services');
  });

  test('writes down that services stay stopped on purpose, also over what an earlier deploy wrote', () => {
    expect(task('deploy', 'Note Left Stopped')).toMatchObject({
      Next: 'Mark Left Stopped',
      Parameters: { 'deploy.$': '$.deploy', 'since.$': '$$.State.EnteredTime' },
      ResultPath: '$.remembered',
    });
    expect(task('deploy', 'Mark Left Stopped').Parameters).toMatchObject({
      Name: '/pg-deploy-step/prod/left-stopped',
      'Value.$': 'States.JsonToString($.remembered)',
      Overwrite: true,
    });
  });

  test.each(['Start Services', 'Mark Left Stopped'])('tries for minutes at %s', (name) => {
    expect(task('deploy', name).Retry?.at(-1)).toEqual({
      ErrorEquals: ['States.TaskFailed', 'States.Timeout'],
      IntervalSeconds: 5,
      MaxAttempts: 12,
      BackoffRate: 2,
      MaxDelaySeconds: 60,
      JitterStrategy: 'FULL',
    });
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
      'All Can Be Stopped',
      'All Can Be Stopped?',
      'All Stopped',
      'All Stopped?',
      'Begin Window',
      'Build Indexes',
      'Build Indexes: More?',
      'Check Services',
      'Critical Index Failed',
      'Critical Index Lost?',
      'Migration Broke',
      'Migration Failed',
      'Migrations Applied?',
      'Run Migrations',
      'Services Not Stopped',
      'Services Refused',
      'Stop Services',
    ]);
  });

  test('looks at each service and stops it by these states and no others', () => {
    const inside = (map: string) =>
      Object.keys(task('maintenance-window', map).ItemProcessor?.States ?? {}).sort();

    expect(inside('Check Services')).toEqual([
      'Describe Scaling',
      'Describe Service',
      'Has Scaling?',
      'Note Count',
      'Note Scaling',
      'Scaling Found?',
      'Scaling Not Found',
      'Service Can Be Stopped',
      'Service Is A Daemon',
      'Service Not Found',
      'Service Refused',
      'Service Usable?',
      'Which Kind To Check?',
    ]);
    expect(inside('Stop Services')).toEqual([
      'Adopt Earlier Memory',
      'Count Look: Tasks Stopped',
      'Keep Earlier Memory',
      'Look At Stopping Tasks',
      'Note What Runs',
      'Pause: Tasks Stopped',
      'Recall Earlier Memory',
      'Remember Service',
      'Scaling To Suspend?',
      'Service Not Stopped',
      'Service Stopped',
      'Stop Tasks',
      'Suspend Scaling',
      'Tasks Stopped?',
      'Wait Until Tasks Stopped',
      'Which Kind To Stop?',
    ]);
  });

  test('carries the configured services and an answer of the migrations that is null until they ran', () => {
    expect(task('maintenance-window', 'Begin Window').Parameters).toEqual({
      'deploy.$': '$.deploy',
      'execution.$': '$.execution',
      'indexes.$': '$.indexes',
      'startedAt.$': '$$.State.EnteredTime',
      services: [
        {
          kind: 'ecs',
          name: 'api',
          cluster: 'prod',
          service: 'api',
          scaling: true,
          resourceId: 'service/prod/api',
          parameter: '/pg-deploy-step/prod/services/api',
        },
        {
          kind: 'ecs',
          name: 'worker',
          cluster: 'prod',
          service: 'worker',
          scaling: false,
          resourceId: 'service/prod/worker',
          parameter: '/pg-deploy-step/prod/services/worker',
        },
      ],
      checked: [],
      stopped: [],
      sessions: { output: { sessions: null } },
      migrations: { output: null },
    });
  });

  test('looks at every service before the first one is stopped, and stops none if one cannot be', () => {
    expect(task('maintenance-window', 'Begin Window').Next).toBe('Check Services');
    expect(task('maintenance-window', 'Check Services').Next).toBe('All Can Be Stopped');
    expect(task('maintenance-window', 'All Can Be Stopped')).toMatchObject({
      Parameters: { 'any.$': 'States.ArrayContains($.checked[*].usable, false)' },
      ResultPath: '$.look',
      Next: 'All Can Be Stopped?',
    });
    expect(task('maintenance-window', 'All Can Be Stopped?')).toMatchObject({
      Choices: [{ Variable: '$.look.any', BooleanEquals: true, Next: 'Services Refused' }],
      Default: 'Stop Services',
    });
    expect(task('maintenance-window', 'Stop Services')).toMatchObject({ ItemsPath: '$.checked' });
  });

  test('refuses an ECS service that is not there, a daemon, and scaling that is not registered', () => {
    const first = '$.described.services[0]';
    expect(task('maintenance-window', 'Service Usable?')).toMatchObject({
      Choices: [
        { Not: { Variable: first, IsPresent: true }, Next: 'Service Not Found' },
        { Not: { Variable: `${first}.Status`, StringEquals: 'ACTIVE' }, Next: 'Service Not Found' },
        { Variable: `${first}.SchedulingStrategy`, StringEquals: 'DAEMON', Next: 'Service Is A Daemon' },
      ],
      Default: 'Note Count',
    });
    expect(waysOf(task('maintenance-window', 'Has Scaling?'))).toEqual([
      'Describe Scaling',
      'Service Can Be Stopped',
    ]);
    expect(waysOf(task('maintenance-window', 'Scaling Found?'))).toEqual([
      'Note Scaling',
      'Scaling Not Found',
    ]);
    for (const name of ['Service Not Found', 'Service Is A Daemon', 'Scaling Not Found']) {
      expect(task('maintenance-window', name)).toMatchObject({
        Next: 'Service Refused',
        ResultPath: '$.refusal',
      });
    }
    expect(task('maintenance-window', 'Service Refused').Parameters).toEqual({
      'name.$': '$.service.name',
      usable: false,
      'reason.$': '$.refusal.reason',
    });
  });

  test('remembers what runs before it stops anything, and keeps what an earlier run remembered', () => {
    expect(task('maintenance-window', 'Stop Services').ItemProcessor?.StartAt).toBe('Note What Runs');
    expect(task('maintenance-window', 'Note What Runs')).toMatchObject({
      Next: 'Remember Service',
      Parameters: {
        'current.$': '$.current',
        'stoppedAt.$': '$$.State.EnteredTime',
        'deploy.$': '$.deploy',
        'execution.$': '$.execution',
      },
    });
    const remember = task('maintenance-window', 'Remember Service');
    expect(remember.Resource).toBe('arn:aws:states:::aws-sdk:ssm:putParameter');
    expect(remember.Parameters).toMatchObject({ 'Name.$': '$.service.parameter', Overwrite: false });
    expect(remember.Next).toBe('Which Kind To Stop?');
    expect(remember.Catch).toEqual([
      {
        ErrorEquals: ['Ssm.ParameterAlreadyExistsException'],
        Next: 'Recall Earlier Memory',
        ResultPath: null,
      },
    ]);
    expect(task('maintenance-window', 'Recall Earlier Memory').Next).toBe('Adopt Earlier Memory');
    // What the service is started with and since when it is stopped are the earlier run's; the deploy is this one.
    expect(task('maintenance-window', 'Adopt Earlier Memory')).toMatchObject({
      Next: 'Keep Earlier Memory',
      Parameters: {
        'current.$': '$.memory.value.current',
        'stoppedAt.$': '$.memory.value.stoppedAt',
        'deploy.$': '$.deploy',
        'execution.$': '$.execution',
      },
    });
    const keep = task('maintenance-window', 'Keep Earlier Memory');
    expect(keep.Parameters).toMatchObject({ 'Name.$': '$.service.parameter', Overwrite: true });
    expect(keep.Next).toBe('Which Kind To Stop?');
  });

  test('suspends all scaling before the count goes to 0', () => {
    expect(waysOf(task('maintenance-window', 'Scaling To Suspend?'))).toEqual([
      'Suspend Scaling',
      'Stop Tasks',
    ]);
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
    expect(task('maintenance-window', 'Tasks Stopped?')).toMatchObject({
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
      Default: 'Pause: Tasks Stopped',
    });
    expect(task('maintenance-window', 'Pause: Tasks Stopped').Next).toBe('Count Look: Tasks Stopped');
    expect(task('maintenance-window', 'Count Look: Tasks Stopped').Next).toBe('Look At Stopping Tasks');
  });

  test('runs no migration while a service runs', () => {
    expect(task('maintenance-window', 'Stop Services').Next).toBe('All Stopped');
    expect(task('maintenance-window', 'All Stopped')).toMatchObject({
      Parameters: { 'any.$': "States.ArrayContains($.stopped[*].outcome, 'not-stopped')" },
      ResultPath: '$.look',
      Next: 'All Stopped?',
    });
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
    ['Services Refused', 'services-refused', 'untouched'],
    ['Services Not Stopped', 'services-not-stopped', 'start'],
    ['Migration Failed', 'migration-failed', 'start'],
    ['Critical Index Failed', 'critical-failed', 'leave-stopped'],
  ])('ends at %s with the verdict %s and services: %s', (name, verdict, services) => {
    const end = task('maintenance-window', name);

    expect(end.End).toBe(true);
    expect(end.Parameters).toEqual({
      verdict,
      services,
      'checked.$': '$.checked',
      'stopped.$': '$.stopped',
      'sessions.$': '$.sessions.output.sessions',
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
      'Alert',
      'Begin',
      'Count Look: Tasks Running',
      'Deploy Still Runs?',
      'Forget Marker',
      'Forget Service',
      'Is A Recovery?',
      'Is Steady?',
      'Left To Its Deploy',
      'Look At Its Deploy',
      'Look At Outcomes',
      'Look At Starting Tasks',
      'Look For Marker',
      'Note Not Steady',
      'Note Steady',
      'Nothing Remembered',
      'Pause: Tasks Running',
      'Recall Service',
      'Recovers?',
      'Resume Scaling',
      'Scaling To Resume?',
      'Service Done',
      'Start As Ordered',
      'Start As Recovery',
      'Start Services',
      'Start Tasks',
      'Started',
      'Stopped On Purpose',
      'Tasks Running?',
      'Tell People?',
      'Wait Until Tasks Running',
      'Which Kind To Start?',
      'Which Kind Was Started?',
      'Word Alert',
    ]);
  });

  test('leaves a service alone that was not remembered', () => {
    expect(task('start-services', 'Start Services').ItemProcessor?.StartAt).toBe('Recall Service');
    expect(task('start-services', 'Recall Service').Catch).toEqual([
      { ErrorEquals: ['Ssm.ParameterNotFoundException'], Next: 'Nothing Remembered', ResultPath: null },
    ]);
    expect(task('start-services', 'Nothing Remembered')).toMatchObject({ End: true });
    expect(task('start-services', 'Nothing Remembered').Parameters).toEqual({
      'name.$': '$.service.name',
      outcome: 'nothing-remembered',
      startedAt: null,
      stoppedAt: null,
    });
  });

  test('starts the remembered count and looks until the deadline', () => {
    expect(task('start-services', 'Start Tasks').Parameters).toMatchObject({
      'DesiredCount.$': '$.memory.value.current.desiredCount',
    });
    expect(task('start-services', 'Tasks Running?')).toMatchObject({
      Choices: [
        {
          Variable: '$.counts.running',
          NumericEqualsPath: '$.memory.value.current.desiredCount',
          Next: 'Note Steady',
        },
        // 15 minutes, looked at every 10 seconds
        { Variable: '$.looks.count', NumericGreaterThanEquals: 90, Next: 'Note Not Steady' },
      ],
      Default: 'Pause: Tasks Running',
    });
  });

  test('gives scaling back as it was in any case, and forgets only what runs steadily', () => {
    for (const name of ['Note Steady', 'Note Not Steady']) {
      expect(task('start-services', name).Next).toBe('Which Kind Was Started?');
    }
    expect(task('start-services', 'Which Kind Was Started?').Choices).toEqual([
      { Variable: '$.service.kind', StringEquals: 'ecs', Next: 'Scaling To Resume?' },
    ]);
    expect(task('start-services', 'Note Not Steady').Parameters).toEqual({
      outcome: 'not-steady',
      startedAt: null,
    });
    expect(waysOf(task('start-services', 'Scaling To Resume?'))).toEqual(['Resume Scaling', 'Is Steady?']);
    expect(task('start-services', 'Resume Scaling').Parameters).toMatchObject({
      'SuspendedState.$': '$.memory.value.current.scaling',
    });
    expect(task('start-services', 'Resume Scaling').Next).toBe('Is Steady?');
    expect(task('start-services', 'Is Steady?')).toMatchObject({
      Choices: [{ Variable: '$.result.outcome', StringEquals: 'started', Next: 'Forget Service' }],
      Default: 'Service Done',
    });
  });

  test('takes a service that another execution has forgotten meanwhile for done', () => {
    expect(task('start-services', 'Forget Service')).toMatchObject({ Next: 'Service Done' });
    expect(task('start-services', 'Forget Service').Catch).toEqual([
      { ErrorEquals: ['Ssm.ParameterNotFoundException'], Next: 'Service Done', ResultPath: null },
    ]);
  });
});
