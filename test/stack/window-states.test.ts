import { beforeAll, describe, expect, test } from 'vitest';
import { changing, reachableWithout, stateOf, statesOf, waysOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { everyKindInput, prodInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({
    prod: prodInput(),
    every: { ...everyKindInput(), drain: { applicationNames: ['api%'], seconds: 45 } },
  });
});

const window = (environmentName = 'prod') => machines.machine(environmentName, 'maintenance-window');
const task = (name: string, environmentName = 'prod') =>
  machines.state(environmentName, 'maintenance-window', name);

test('has these states and no others, those of its Maps left out', () => {
  expect(Object.keys(window().States).sort()).toEqual([
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

test('carries the configured services, and answers that are null until somebody gave them', () => {
  expect(task('Begin Window', 'every').Parameters).toEqual({
    'deploy.$': '$.deploy',
    'execution.$': '$.execution',
    'indexes.$': '$.indexes',
    'startedAt.$': '$$.State.EnteredTime',
    services: [
      {
        ...{ kind: 'ecs', name: 'api', cluster: 'prod', service: 'api', scaling: true },
        ...{ resourceId: 'service/prod/api', parameter: '/pg-deploy-step/every/services/api' },
      },
      {
        ...{ kind: 'ecs', name: 'worker', cluster: 'prod', service: 'worker', scaling: false },
        ...{ resourceId: 'service/prod/worker', parameter: '/pg-deploy-step/every/services/worker' },
      },
      {
        ...{ kind: 'event-rule', name: 'nightly', rule: 'nightly-import', eventBus: 'default' },
        parameter: '/pg-deploy-step/every/services/nightly',
      },
      {
        ...{ kind: 'event-rule', name: 'orders', rule: 'order-placed', eventBus: 'shop' },
        parameter: '/pg-deploy-step/every/services/orders',
      },
      {
        ...{ kind: 'event-source-mapping', name: 'queue', uuid: '0a1b2c3d-4e5f-4a7b-8c9d-0e1f2a3b4c5d' },
        parameter: '/pg-deploy-step/every/services/queue',
      },
    ],
    checked: [],
    stopped: [],
    sessions: { output: { sessions: null } },
    migrations: { output: null },
  });
});

describe('before the first service is stopped', () => {
  test.each(['prod', 'every'])('all are looked at: no way leads past that (%s)', (environmentName) => {
    const definition = window(environmentName);

    expect(changing(statesOf(definition))).toEqual(
      expect.arrayContaining(['Stop Tasks', 'Remember Service']),
    );
    expect(changing(reachableWithout(definition, 'Check Services'))).toEqual([]);
    // Nor past the question whether all of them may be stopped.
    expect(changing(reachableWithout(definition, 'All Can Be Stopped?'))).toEqual([]);
    expect(changing({ look: stateOf(definition, 'Check Services') })).toEqual([]);
  });

  test('one that may not be stopped refuses the whole window, which touches none', () => {
    expect(task('All Can Be Stopped')).toMatchObject({
      Parameters: { 'any.$': 'States.ArrayContains($.checked[*].usable, false)' },
      ResultPath: '$.look',
      Next: 'All Can Be Stopped?',
    });
    expect(waysOf(task('All Can Be Stopped?'))).toEqual(['Services Refused', 'Stop Services']);
  });

  test('a service that is missing, inactive or a DAEMON is refused', () => {
    const first = '$.described.services[0]';
    expect(task('Service Usable?')).toMatchObject({
      Choices: [
        { Not: { Variable: first, IsPresent: true }, Next: 'Service Not Found' },
        { Not: { Variable: `${first}.Status`, StringEquals: 'ACTIVE' }, Next: 'Service Not Found' },
        { Variable: `${first}.SchedulingStrategy`, StringEquals: 'DAEMON', Next: 'Service Is A Daemon' },
      ],
      Default: 'Note Count',
    });
    for (const name of ['Service Not Found', 'Service Is A Daemon', 'Scaling Not Found']) {
      expect(task(name)).toMatchObject({ ResultPath: '$.refusal', Next: 'Service Refused' });
    }
    expect(task('Service Refused').Parameters).toEqual({
      'name.$': '$.service.name',
      usable: false,
      'reason.$': '$.refusal.reason',
    });
  });

  test('scaling is noted as it is, and refused where there is none', () => {
    expect(waysOf(task('Has Scaling?'))).toEqual(['Describe Scaling', 'Service Can Be Stopped']);
    expect(task('Scaling Found?')).toMatchObject({
      Choices: [
        { Variable: '$.scalable.targets[0].SuspendedState', IsPresent: true, Next: 'Note Scaling' },
        { Variable: '$.scalable.targets[0]', IsPresent: true, Next: 'Note Scaling Never Suspended' },
      ],
      Default: 'Scaling Not Found',
    });
    expect(task('Note Scaling')).toMatchObject({
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
  expect(task('Stop Services').Next).toBe('All Stopped');
  expect(task('All Stopped').Parameters).toEqual({
    'any.$': "States.ArrayContains($.stopped[*].outcome, 'not-stopped')",
  });
  expect(waysOf(task('All Stopped?'))).toEqual(['Services Not Stopped', 'Run Migrations']);
});

describe('sessions of the application', () => {
  test('are waited for only where the environment says whose', () => {
    const names = Object.keys(window().States);

    for (const name of ['Begin Drain', 'Check Sessions', 'Sessions Remain']) {
      expect(names).not.toContain(name);
    }
    expect(waysOf(task('All Stopped?', 'every'))).toEqual(['Services Not Stopped', 'Begin Drain']);
  });

  test('are waited for until the deadline, and no migration is run while one remains', () => {
    expect(task('Sessions Gone?', 'every')).toMatchObject({
      Choices: [
        { Variable: '$.sessions.output.remaining', NumericEquals: 0, Next: 'No Sessions Left' },
        // 45 seconds, looked at every 10 seconds
        { Variable: '$.looks.count', NumericGreaterThanEquals: 5, Next: 'Sessions Remain' },
      ],
      Default: 'Wait For Sessions',
    });
    expect(task('No Sessions Left', 'every').Next).toBe('Run Migrations');
    expect(Object.keys(reachableWithout(window('every'), 'No Sessions Left'))).not.toContain(
      'Run Migrations',
    );
  });
});

test('tells a migration that failed from one that is retried', () => {
  const run = task('Run Migrations');

  expect(run.Retry?.[2]).toEqual({
    ErrorEquals: ['MigrationLocked', 'LockNotAvailable', 'ConnectionLost'],
    IntervalSeconds: 2,
    MaxAttempts: 4,
    BackoffRate: 2,
    MaxDelaySeconds: 30,
    JitterStrategy: 'FULL',
  });
  expect(run.Catch).toEqual(
    ['States.DataLimitExceeded', 'States.ALL'].map((error) => ({
      ErrorEquals: [error],
      Next: 'Migration Broke',
      ResultPath: '$.migrationError',
    })),
  );
  expect(task('Migration Broke').Parameters).toEqual({
    output: { status: 'failed', runner: { name: 'sql' }, 'caught.$': '$.migrationError' },
  });
  expect(task('Migration Broke').Next).toBe('Migration Failed');
  expect(waysOf(task('Migrations Applied?'))).toEqual(['Build Indexes', 'Migration Failed']);
});

test.each([
  ['All Built', 'ok', 'start'],
  ['Services Refused', 'services-refused', 'untouched'],
  ['Services Not Stopped', 'services-not-stopped', 'start'],
  ['Sessions Remain', 'sessions-remain', 'start'],
  ['Migration Failed', 'migration-failed', 'start'],
  ['Critical Index Failed', 'critical-failed', 'leave-stopped'],
])('ends at %s with the verdict %s and services: %s', (name, verdict, services) => {
  const end = task(name, 'every');

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
  expect(waysOf(task('Build Indexes: More?'))).toEqual(['Build Indexes', 'Critical Index Lost?']);
  expect(task('Critical Index Lost?')).toMatchObject({
    Choices: [
      { Variable: '$.builds.output.failed.critical', NumericGreaterThan: 0, Next: 'Critical Index Failed' },
    ],
    Default: 'All Built',
  });
});

test('tells the builds when the window began, by which they know when it is used up', () => {
  expect(task('Build Indexes').Parameters).toMatchObject({ Input: { 'windowStartedAt.$': '$.startedAt' } });
});
