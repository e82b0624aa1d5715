import { beforeAll, describe, expect, test } from 'vitest';
import { branchesOf, changing, reachableWithout, stateOf, statesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { everyKindInput, keyArn, prodInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({
    prod: prodInput(),
    every: { ...everyKindInput(), drain: { applicationNames: ['api%'], seconds: 45 } },
  });
});

const window = (environmentName = 'prod') => machines.machine(environmentName, 'maintenance-window');
const state = (name: string, environmentName = 'prod') =>
  machines.state(environmentName, 'maintenance-window', name);

test('has these states outside of its Maps and no others', () => {
  expect(Object.keys(window().States).sort()).toEqual([
    'Add Page Of Saved States',
    'All Services Can Be Stopped?',
    'All Services Stopped?',
    'Any Critical Index Failed?',
    'Any Service Renamed?',
    'Begin Migration Check',
    'Begin Rehearsal Of Saving',
    'Begin Saving',
    'Begin Window',
    'Build Indexes',
    'Check Counts After Builds',
    'Check Counts Before Builds',
    'Check Counts Before Migrations',
    'Check Migrations',
    'Check Services',
    'Check Services Again',
    'Collect Other Saved States',
    'Count Migration Check',
    'Count Saved States',
    'Counts Still 0 After Builds?',
    'Counts Still 0 Before Builds?',
    'Counts Still 0 Before Migrations?',
    'Critical Index Failed',
    'Delete States Of Other Names',
    'Enable Reconciler',
    'Find Renamed Services',
    'List More Saved States',
    'List Renamed Services',
    'List Saved States',
    'Merge Saved States',
    'Migration Failed',
    'Migrations Applied?',
    'Migrations Ended?',
    'More Indexes To Build?',
    'More Saved States?',
    'No Left Stopped Marker',
    'Read Left Stopped Marker',
    'Read Other Saved States',
    'Record Migration Error',
    'Record Running Migration',
    'Run Migrations',
    'Save Services',
    'Saved Under Other Names?',
    'Services Cannot Be Stopped',
    'Services Not Stopped',
    'Services Started By Others',
    'Stop Services',
    'Summarize Service Checks',
    'Summarize Stopped Services',
    'Wait For Migrations',
    'Window Complete',
    'Window Rehearsed',
  ]);
});

const BATCH = 'arn:aws:lambda:eu-west-1:222222222222:function:stop-batch:live';

test('begins with the configured services and with null for results that do not exist yet', () => {
  const counted = [
    {
      ...{ kind: 'ecs', name: 'api', cluster: 'prod', service: 'api', scaling: true },
      ...{ resourceId: 'service/prod/api', resource: 'ecs/prod/api' },
      parameter: '/pg-deploy-step/every/services/api',
    },
    {
      ...{ kind: 'ecs', name: 'worker', cluster: 'prod', service: 'worker', scaling: false },
      ...{ resourceId: 'service/prod/worker', resource: 'ecs/prod/worker' },
      parameter: '/pg-deploy-step/every/services/worker',
    },
  ];
  expect(state('Begin Window', 'every').Parameters).toEqual({
    'deploy.$': '$.deploy',
    'execution.$': '$.execution',
    'indexes.$': '$.indexes',
    'rehearsal.$': '$.rehearsal',
    'update.$': '$.update',
    'startedAt.$': '$$.State.EnteredTime',
    services: [
      ...counted,
      {
        ...{ kind: 'event-rule', name: 'nightly', rule: 'nightly-import', eventBus: 'default' },
        resource: 'event-rule/default/nightly-import',
        parameter: '/pg-deploy-step/every/services/nightly',
      },
      {
        ...{ kind: 'event-rule', name: 'orders', rule: 'order-placed', eventBus: 'shop' },
        resource: 'event-rule/shop/order-placed',
        parameter: '/pg-deploy-step/every/services/orders',
      },
      {
        ...{ kind: 'event-source-mapping', name: 'queue', uuid: '0a1b2c3d-4e5f-4a7b-8c9d-0e1f2a3b4c5d' },
        resource: 'event-source-mapping/0a1b2c3d-4e5f-4a7b-8c9d-0e1f2a3b4c5d',
        parameter: '/pg-deploy-step/every/services/queue',
      },
      {
        ...{ kind: 'schedule', name: 'invoices', schedule: 'invoices', group: 'default' },
        // A schedule without a key is compared with the empty text.
        ...{ role: 'arn:aws:iam::222222222222:role/invoices', key: '' },
        resource: 'schedule/default/invoices',
        parameter: '/pg-deploy-step/every/services/invoices',
      },
      {
        ...{ kind: 'schedule', name: 'export', schedule: 'export', group: 'jobs', key: keyArn(4) },
        role: 'arn:aws:iam::222222222222:role/path/export',
        resource: 'schedule/jobs/export',
        parameter: '/pg-deploy-step/every/services/export',
      },
      {
        ...{ kind: 'custom', name: 'batch', function: BATCH },
        resource: `custom/${BATCH}`,
        parameter: '/pg-deploy-step/every/services/batch',
      },
    ],
    counted,
    rounds: { round: 0 },
    checked: [],
    stopped: [],
    raised: { names: [], counts: [] },
    sessions: { output: { sessions: null } },
    migrations: { output: null },
  });
});

describe('a rehearsal', () => {
  const IS_REHEARSAL = { Variable: '$.rehearsal', BooleanEquals: true };

  test('has the same checks as a deploy, and leaves the path of a deploy before anything is changed', () => {
    const definition = window();

    expect(changing(reachableWithout(definition, 'All Services Can Be Stopped?'))).toEqual([]);
    expect(state('All Services Can Be Stopped?').Choices?.[0]).toEqual({
      ...IS_REHEARSAL,
      Next: 'Begin Rehearsal Of Saving',
    });
    const saving = { ...definition, StartAt: 'Begin Rehearsal Of Saving' };
    expect(changing(reachableWithout(saving, 'Saved Under Other Names?'))).toEqual([]);
    expect(state('Saved Under Other Names?').Choices?.[0]).toEqual({
      ...IS_REHEARSAL,
      Next: 'Read Left Stopped Marker',
    });
    const rest = { ...definition, StartAt: 'Read Left Stopped Marker' };
    expect(Object.keys(reachableWithout(rest))).toEqual(
      expect.arrayContaining(['Read Left Stopped Marker', 'No Left Stopped Marker', 'Window Rehearsed']),
    );
    expect(Object.keys(reachableWithout(rest))).toHaveLength(3);
  });

  test('reports an error of one service as the reason of that service', () => {
    for (const name of ['Describe Service', 'Describe Scaling'])
      expect(state(name).Catch?.at(-1)).toEqual({
        ErrorEquals: ['States.ALL'],
        Next: 'Service Not Checked',
        ResultPath: '$.failure',
      });
    expect(state('Service Not Checked').Parameters).toMatchObject({ usable: false, 'error.$': '$.failure' });
  });
});

describe('before the first service is stopped', () => {
  test.each(['prod', 'every'])('all services are checked on every path (%s)', (environmentName) => {
    const definition = window(environmentName);

    expect(changing(statesOf(definition))).toEqual(
      expect.arrayContaining(['Stop Tasks', 'Save Service State']),
    );
    expect(changing(reachableWithout(definition, 'Check Services'))).toEqual([]);
    // Every path also goes through the decision whether all of them can be stopped.
    expect(changing(reachableWithout(definition, 'All Services Can Be Stopped?'))).toEqual([]);
    expect(changing({ check: stateOf(definition, 'Check Services') })).toEqual([]);
  });

  test('one service that cannot be stopped refuses the whole window, which then changes no service', () => {
    expect(state('Summarize Service Checks')).toMatchObject({
      Parameters: {
        'refused.$': 'States.ArrayContains($.checked[*].usable, false)',
        'waited.$': 'States.ArrayContains($.checked[*].waited, true)',
      },
      ResultPath: '$.summary',
      Next: 'All Services Can Be Stopped?',
    });
    expect(branchesOf(state('All Services Can Be Stopped?'))).toEqual([
      'Begin Rehearsal Of Saving',
      'Services Cannot Be Stopped',
      'Check Services Again',
      'Begin Saving',
    ]);
  });

  test('a service in the middle of an ECS deployment is waited for, and then all services are checked again', () => {
    expect(branchesOf(state('Service Usable?')).at(-1)).toBe('Wait For Deployment');
    expect(state('Wait For Deployment')).toMatchObject({ Seconds: 30, Next: 'Count Deployment Check' });
    expect(state('Count Deployment Check').Next).toBe('Describe Service');
    expect(state('Check Services').ItemSelector).toEqual({
      'service.$': '$$.Map.Item.Value',
      'round.$': '$.rounds.round',
      'rehearsal.$': '$.rehearsal',
      'update.$': '$.update',
      deployment: { waited: false, checks: 0 },
    });
    expect(state('Check Services Again')).toMatchObject({
      Parameters: { 'round.$': 'States.MathAdd($.rounds.round, 1)' },
      ResultPath: '$.rounds',
      Next: 'Check Services',
    });
  });

  test('a service that is missing, inactive or a DAEMON is refused', () => {
    const first = '$.described.services[0]';
    expect(state('Service Usable?')).toMatchObject({
      Choices: [
        { Not: { Variable: first, IsPresent: true }, Next: 'Service Not Found' },
        { Not: { Variable: `${first}.Status`, StringEquals: 'ACTIVE' }, Next: 'Service Not Found' },
        { Variable: `${first}.SchedulingStrategy`, StringEquals: 'DAEMON', Next: 'Service Is A Daemon' },
        {
          And: [
            { Variable: '$.described.primary[0]', IsPresent: true },
            { Variable: '$.described.primary[0]', StringEquals: 'FAILED' },
          ],
          Next: 'Last Deployment Failed',
        },
        {
          Not: {
            Or: ['running[0]', 'replaced[0]', 'taskSets[1]'].map((field) => ({
              Variable: `$.described.${field}`,
              IsPresent: true,
            })),
          },
          Next: 'Record Count',
        },
        // 15 minutes, checked every 30 seconds; in the third round it is not waited for
        {
          Or: [
            { Variable: '$.deployment.checks', NumericGreaterThanEquals: 30 },
            { Variable: '$.round', NumericGreaterThanEquals: 2 },
          ],
          Next: 'Deployment Still Running',
        },
        { Variable: '$.rehearsal', BooleanEquals: true, Next: 'Deployment Running In Plan' },
      ],
    });
    expect(state('Describe Service')).toMatchObject({
      ResultSelector: {
        'running.$': "$.Services[*].Deployments[?(@.RolloutState == 'IN_PROGRESS')].Id",
        'replaced.$': "$.Services[*].Deployments[?(@.Status == 'ACTIVE')].Id",
        // Empty behind a Classic Load Balancer, where deployments have no rollout state.
        'primary.$': "$.Services[*].Deployments[?(@.Status == 'PRIMARY')].RolloutState",
        // Two during a deployment of CodeDeploy
        'taskSets.$': '$.Services[*].TaskSets[*].Id',
      },
    });
    for (const name of [
      'Service Not Found',
      'Service Is A Daemon',
      'Last Deployment Failed',
      'Deployment Still Running',
      'Scaling Not Found',
    ]) {
      expect(state(name)).toMatchObject({ ResultPath: '$.refusal', Next: 'Service Cannot Be Stopped' });
    }
    expect(state('Service Cannot Be Stopped').Parameters).toEqual({
      'name.$': '$.service.name',
      usable: false,
      'reason.$': '$.refusal.reason',
      'waits.$': '$.refusal.waits',
      'waited.$': '$.deployment.waited',
    });
  });

  test('the state of scaling is recorded, and a service without scaling is refused', () => {
    expect(branchesOf(state('Has Scaling?'))).toEqual(['Describe Scaling', 'Service Can Be Stopped']);
    expect(state('Scaling Found?')).toMatchObject({
      Choices: [
        // Registering the target would raise the count of a service at 0.
        {
          And: [
            { Variable: '$.current.desiredCount', NumericEquals: 0 },
            { Variable: '$.scalable.targets[0].MinCapacity', IsPresent: true },
            { Variable: '$.scalable.targets[0].MinCapacity', NumericGreaterThan: 0 },
          ],
          Next: 'Record Scaling Unchanged',
        },
        { Variable: '$.scalable.targets[0].SuspendedState', IsPresent: true, Next: 'Record Scaling' },
        { Variable: '$.scalable.targets[0]', IsPresent: true, Next: 'Record Scaling Not Suspended' },
      ],
      Default: 'Scaling Not Found',
    });
    expect(state('Record Scaling')).toMatchObject({
      Parameters: {
        'desiredCount.$': '$.current.desiredCount',
        'scaling.$': '$.scalable.targets[0].SuspendedState',
      },
      ResultPath: '$.current',
      Next: 'Service Can Be Stopped',
    });
  });
});

test('runs no migration while a service runs', () => {
  expect(state('Stop Services').Next).toBe('Summarize Stopped Services');
  expect(state('Summarize Stopped Services').Parameters).toEqual({
    'startedByOthers.$': "States.ArrayContains($.stopped[*].outcome, 'started-by-others')",
    'late.$': "States.ArrayContains($.stopped[*].outcome, 'not-stopped')",
    'failed.$': "States.ArrayContains($.stopped[*].outcome, 'failed')",
  });
  expect(branchesOf(state('All Services Stopped?'))).toEqual([
    'Services Started By Others',
    'Services Not Stopped',
    'Check Counts Before Migrations',
  ]);
});

test.each([
  ['Before Migrations', 'Run Migrations'],
  ['Before Builds', 'Build Indexes'],
  ['After Builds', 'Window Complete'],
])('a desired count that someone else has raised ends the window: %s', (when, next) => {
  expect(state(`Check Counts ${when}`)).toMatchObject({
    ItemsPath: '$.counted',
    ResultPath: '$.raised',
    Next: `Counts Still 0 ${when}?`,
  });
  expect(branchesOf(state(`Counts Still 0 ${when}?`))).toEqual(['Services Started By Others', next]);
  expect(Object.keys(reachableWithout(window(), `Counts Still 0 ${when}?`))).not.toContain(next);
});

test('an environment without migrations checks the counts only around the builds', async () => {
  const none = await synthesiseMachines({ none: { ...prodInput(), migrations: 'none' } });
  const states = Object.keys(none.machine('none', 'maintenance-window').States);

  expect(states).not.toContain('Check Counts Before Migrations');
  expect(states).toContain('Check Counts Before Builds');
});

describe('sessions of the application', () => {
  test('are checked only if the environment configures drain', () => {
    const names = Object.keys(window().States);

    for (const name of ['Begin Drain', 'Check Sessions', 'Sessions Remain']) {
      expect(names).not.toContain(name);
    }
    expect(branchesOf(state('All Services Stopped?', 'every'))).toEqual([
      'Services Started By Others',
      'Services Not Stopped',
      'Begin Drain',
    ]);
  });

  test('are checked until the deadline, and no migration runs while one remains', () => {
    expect(state('Sessions Closed?', 'every')).toMatchObject({
      Choices: [
        { Variable: '$.sessions.output.remaining', NumericEquals: 0, Next: 'No Sessions Left' },
        // 45 seconds, checked every 10 seconds
        { Variable: '$.checks.count', NumericGreaterThanEquals: 5, Next: 'Sessions Remain' },
      ],
      Default: 'Wait For Sessions',
    });
    expect(state('No Sessions Left', 'every').Next).toBe('Check Counts Before Migrations');
    expect(Object.keys(reachableWithout(window('every'), 'No Sessions Left'))).not.toContain(
      'Run Migrations',
    );
  });
});

test('retries only the errors of a migration that are temporary', () => {
  const run = state('Run Migrations');

  expect(run.Retry?.slice(3)).toEqual([
    // Longer than a function can run: 20 minutes in total.
    {
      ...{ ErrorEquals: ['MigrationsRunning'], IntervalSeconds: 5, MaxAttempts: 42, BackoffRate: 2 },
      MaxDelaySeconds: 30,
    },
    {
      ErrorEquals: ['LockNotAvailable', 'Deadlock', 'MigrationLocked', 'ConnectionLost'],
      IntervalSeconds: 2,
      MaxAttempts: 9,
      BackoffRate: 2,
      MaxDelaySeconds: 30,
      JitterStrategy: 'FULL',
    },
  ]);
  expect(run.Catch).toEqual(
    ['States.DataLimitExceeded', 'States.ALL'].map((error) => ({
      ErrorEquals: [error],
      Next: 'Record Migration Error',
      ResultPath: '$.migrationError',
    })),
  );
  expect(state('Record Migration Error').Parameters).toEqual({
    output: { status: 'failed', runner: { name: 'sql' }, 'caught.$': '$.migrationError' },
  });
  expect(state('Record Migration Error').Next).toBe('Begin Migration Check');
  expect(state('Check Migrations').Catch).toEqual(
    ['States.DataLimitExceeded', 'States.ALL'].map((error) => ({
      ...{ ErrorEquals: [error], Next: 'Migration Failed', ResultPath: null },
    })),
  );
  // 16 minutes, with pauses of 1, 2, 3 … seconds
  expect(state('Migrations Ended?')).toMatchObject({
    Choices: [
      { Variable: '$.migrationLock.output.running', BooleanEquals: false, Next: 'Migration Failed' },
      { Variable: '$.checks.count', NumericGreaterThanEquals: 44, Next: 'Record Running Migration' },
    ],
    Default: 'Wait For Migrations',
  });
  expect(state('Wait For Migrations')).toMatchObject({ SecondsPath: '$.checks.count' });
  expect(branchesOf(state('Migrations Applied?'))).toEqual([
    'Check Counts Before Builds',
    'Migration Failed',
  ]);
});

test('passes the number of retries to the migrations, and makes as many attempts as configured', async () => {
  const input = (attempts: number) => ({ ...prodInput(), migrations: { runner: 'sql' as const, attempts } });
  const limited = await synthesiseMachines({ once: input(1), thrice: input(3) });
  const retriesOf = (environmentName: string) =>
    limited
      .state(environmentName, 'maintenance-window', 'Run Migrations')
      .Retry?.filter((retry) => retry.ErrorEquals.includes('LockNotAvailable'))
      .map((retry) => retry.MaxAttempts);

  expect(state('Run Migrations').Parameters).toMatchObject({
    Payload: {
      'deploy.$': '$.deploy',
      'retryCount.$': '$$.State.RetryCount',
      requested: { environment: 'prod', 'at.$': '$$.State.EnteredTime' },
    },
  });
  expect(retriesOf('once')).toEqual([]);
  expect(retriesOf('thrice')).toEqual([2]);
});

test.each([
  ['Window Complete', 'ok', 'start'],
  ['Services Cannot Be Stopped', 'services-refused', 'untouched'],
  ['Services Not Stopped', 'services-not-stopped', 'start'],
  ['Services Started By Others', 'services-started-by-others', 'start'],
  ['Sessions Remain', 'sessions-remain', 'start'],
  ['Migration Failed', 'migration-failed', 'start'],
  ['Critical Index Failed', 'critical-failed', 'leave-stopped'],
])('ends at %s with the verdict %s and services: %s', (name, verdict, services) => {
  const end = state(name, 'every');

  expect(end.End).toBe(true);
  expect(end.Parameters).toEqual({
    verdict,
    services,
    'checked.$': '$.checked',
    'stopped.$': '$.stopped',
    'raised.$': '$.raised',
    'sessions.$': '$.sessions.output.sessions',
    'migrations.$': '$.migrations.output',
    'unrecordedFailures.$': '$..unrecordedFailures[*]',
  });
});

test('checks for failed critical indexes when no builds remain', () => {
  expect(branchesOf(state('More Indexes To Build?'))).toEqual([
    'Check Counts Before Builds',
    'Any Critical Index Failed?',
  ]);
  expect(state('Any Critical Index Failed?')).toMatchObject({
    Choices: [
      { Variable: '$.builds.output.failed.critical', NumericGreaterThan: 0, Next: 'Critical Index Failed' },
    ],
    Default: 'Check Counts After Builds',
  });
});

test('passes the start of the window to the builds, which end with the window', () => {
  expect(state('Build Indexes').Parameters).toMatchObject({ Input: { 'windowStartedAt.$': '$.startedAt' } });
});
