import { beforeAll, describe, expect, test } from 'vitest';
import { branchesOf, statesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { everyKindInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({ every: everyKindInput() });
});

const state = (name: string) => machines.state('every', 'maintenance-window', name);

test('services stop in these states and no others', () => {
  const map = { States: state('Stop Services').ItemProcessor?.States ?? {} };

  expect(Object.keys(statesOf(map)).sort()).toEqual([
    'Any Stopping Task?',
    'Ask Function To Stop',
    'Begin Disabled Mapping Checks',
    'Begin Disabled Rule Checks',
    'Begin Disabled Schedule Checks',
    'Begin Looks At Stopping',
    'Begin Stopping Checks',
    'Check Disabled Mapping',
    'Check Disabled Rule',
    'Check Disabled Schedule',
    'Check Stopping Tasks',
    'Count Disabled Mapping Check',
    'Count Disabled Rule Check',
    'Count Disabled Schedule Check',
    'Count Listed Check',
    'Count Look At Stopping',
    'Count Stopping Check',
    'Describe Stopping Tasks',
    'Disable Mapping',
    'Disable Rule',
    'Disable Schedule',
    'Disable Schedule Without Past Start',
    'List More Stopping Tasks',
    'List Running Tasks',
    'List Stopping Tasks',
    'Listed Tasks Stopped?',
    'Look At Stopping',
    'Look At Stopping Understood?',
    'Look Finds It Stopped?',
    'Mapping Disabled?',
    'No Running Task?',
    'Read Schedule To Disable',
    'Rule Disabled?',
    'Schedule Disabled?',
    'Service Gone While Stopping',
    'Service Not Stopped',
    'Service Started By Others',
    'Service Stop Failed',
    'Service Stopped',
    'Stop Tasks',
    'Suspend Scaling',
    'Suspend Scaling?',
    'Tasks Stopped?',
    'Wait For Disabled Mapping',
    'Wait For Disabled Rule',
    'Wait For Disabled Schedule',
    'Wait For Function To Stop',
    'Wait For Listed Tasks',
    'Wait For Tasks To Stop',
    'Was Schedule Disabled?',
    'Which Kind To Stop?',
  ]);
  // All services at the same time.
  expect(state('Stop Services').MaxConcurrency ?? 0).toBe(0);
});

test('each kind of service has its own states to stop it', () => {
  expect(state('Which Kind To Stop?').Choices).toEqual([
    { Variable: '$.service.kind', StringEquals: 'ecs', Next: 'Suspend Scaling?' },
    { Variable: '$.service.kind', StringEquals: 'event-rule', Next: 'Disable Rule' },
    { Variable: '$.service.kind', StringEquals: 'event-source-mapping', Next: 'Disable Mapping' },
    { Variable: '$.service.kind', StringEquals: 'schedule', Next: 'Read Schedule To Disable' },
    { Variable: '$.service.kind', StringEquals: 'custom', Next: 'Ask Function To Stop' },
  ]);
});

describe('an ECS service', () => {
  test('has all scaling suspended before its desired count is set to 0', () => {
    expect(branchesOf(state('Suspend Scaling?'))).toEqual([
      'Stop Tasks',
      'Stop Tasks',
      'Stop Tasks',
      'Suspend Scaling',
    ]);
    const suspend = state('Suspend Scaling');
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
    expect(state('Stop Tasks').Resource).toBe('arn:aws:states:::aws-sdk:ecs:updateService');
    expect(state('Stop Tasks').Parameters).toMatchObject({ DesiredCount: 0 });
  });

  test('keeps scaling that is suspended completely, because registering it would raise the desired count', () => {
    const [without, unchanged, suspended] = state('Suspend Scaling?').Choices ?? [];

    expect(without).toEqual({ Variable: '$.service.scaling', BooleanEquals: false, Next: 'Stop Tasks' });
    expect(unchanged).toEqual({ Variable: '$.current.scaling', IsNull: true, Next: 'Stop Tasks' });
    expect(suspended).toEqual({
      And: ['DynamicScalingInSuspended', 'DynamicScalingOutSuspended', 'ScheduledScalingSuspended'].map(
        (flag) => ({
          And: [
            { Variable: `$.current.scaling.${flag}`, IsPresent: true },
            { Variable: `$.current.scaling.${flag}`, BooleanEquals: true },
          ],
        }),
      ),
      Next: 'Stop Tasks',
    });
  });

  test('has no task left to describe as long as its counts are not 0', () => {
    expect(state('Tasks Stopped?')).toMatchObject({
      Choices: [
        {
          Not: { Variable: '$.counts.desired[0]', IsPresent: true },
          Next: 'Service Gone While Stopping',
        },
        {
          And: ['desired', 'running', 'pending'].map((field) => ({
            Variable: `$.counts.${field}[0]`,
            NumericEquals: 0,
          })),
          Next: 'List Running Tasks',
        },
        {
          And: [
            { Variable: '$.counts.desired[0]', NumericGreaterThan: 0 },
            {
              Or: [
                { Variable: '$.checks.count', NumericGreaterThanEquals: 3 },
                { Variable: '$.checks.count', NumericGreaterThanEquals: 60 },
              ],
            },
          ],
          Next: 'Service Started By Others',
        },
        // 10 minutes, checked every 10 seconds
        { Variable: '$.checks.count', NumericGreaterThanEquals: 60, Next: 'Service Not Stopped' },
      ],
      Default: 'Wait For Tasks To Stop',
    });
  });

  test('has stopped when no task has the desired status RUNNING and each page of the others is STOPPED', () => {
    const task = { 'Cluster.$': '$.service.cluster', 'ServiceName.$': '$.service.service' };
    expect(state('List Running Tasks').Parameters).toEqual({
      ...task,
      DesiredStatus: 'RUNNING',
      MaxResults: 1,
    });
    expect(state('List Stopping Tasks').Parameters).toEqual({
      ...{ ...task, DesiredStatus: 'STOPPED', MaxResults: 20 },
    });
    expect(state('List More Stopping Tasks').Parameters).toEqual({
      ...{ ...task, DesiredStatus: 'STOPPED', MaxResults: 20, 'NextToken.$': '$.page.NextToken' },
    });
    expect(branchesOf(state('No Running Task?'))).toEqual([
      'List Stopping Tasks',
      'Service Not Stopped',
      'Wait For Tasks To Stop',
    ]);
    // After a page that was not STOPPED at first, everything is checked again: Count Stopping Check.
    expect(branchesOf(state('Any Stopping Task?'))).toEqual([
      'Describe Stopping Tasks',
      'List More Stopping Tasks',
      'Service Stopped',
      'Count Stopping Check',
    ]);
    expect(branchesOf(state('Listed Tasks Stopped?'))).toEqual([
      'Service Not Stopped',
      'Wait For Listed Tasks',
      'List More Stopping Tasks',
      'Service Stopped',
      'Count Stopping Check',
    ]);
    expect(state('Count Listed Check')).toMatchObject({
      Parameters: { settled: false },
      Next: 'Describe Stopping Tasks',
    });
  });
});

describe.each([
  {
    thing: 'Rule',
    disable: 'eventbridge:disableRule',
    describeIt: 'eventbridge:describeRule',
    off: 'DISABLED',
    on: 'ENABLED',
    api: 'EventBridge',
  },
  {
    thing: 'Mapping',
    disable: 'lambda:updateEventSourceMapping',
    describeIt: 'lambda:getEventSourceMapping',
    off: 'Disabled',
    on: 'Enabled',
    api: 'Lambda',
  },
])('a service of the kind $thing', ({ thing, disable, describeIt, off, on, api }) => {
  const otherState = thing === 'Rule' ? 'Rule Cannot Be Restored' : 'Mapping Is Changing';

  test('is refused if it does not exist or is in a state that cannot be restored', () => {
    expect(state(`Describe ${thing}`).Resource).toBe(`arn:aws:states:::aws-sdk:${describeIt}`);
    expect(state(`Describe ${thing}`).Catch).toEqual([
      { ErrorEquals: [`${api}.ResourceNotFoundException`], Next: `${thing} Not Found`, ResultPath: null },
      ...['States.DataLimitExceeded', 'States.ALL'].map((error) => ({
        ErrorEquals: [error],
        Next: 'Service Not Checked',
        ResultPath: '$.failure',
      })),
    ]);
    expect(state(`${thing} Usable?`)).toMatchObject({
      Choices: [on, off].map((state) => ({
        Variable: '$.current.state',
        StringEquals: state,
        Next: 'Service Can Be Stopped',
      })),
      Default: otherState,
    });
    for (const name of [`${thing} Not Found`, otherState])
      expect(state(name).Next).toBe('Service Cannot Be Stopped');
  });

  test('is disabled, and has stopped when its state is disabled', () => {
    expect(state(`Disable ${thing}`).Resource).toBe(`arn:aws:states:::aws-sdk:${disable}`);
    expect(state(`Disable ${thing}`).Next).toBe(`Begin Disabled ${thing} Checks`);
    expect(state(`Check Disabled ${thing}`).Resource).toBe(`arn:aws:states:::aws-sdk:${describeIt}`);
    expect(state(`${thing} Disabled?`)).toMatchObject({
      Choices: [
        { Variable: '$.switch.state', StringEquals: off, Next: 'Service Stopped' },
        { Variable: '$.checks.count', NumericGreaterThanEquals: 60, Next: 'Service Not Stopped' },
      ],
      Default: `Wait For Disabled ${thing}`,
    });
  });
});

test('a mapping is disabled itself, because a concurrency of 0 would send valid messages to the dead-letter queue', () => {
  expect(state('Disable Mapping').Parameters).toEqual({ 'Uuid.$': '$.service.uuid', Enabled: false });
});

test.each(['Service Stopped', 'Service Not Stopped', 'Service Started By Others'])(
  '%s reports since when the service is stopped',
  (name) => {
    expect(state(name)).toMatchObject({
      Parameters: { 'name.$': '$.service.name', 'stoppedAt.$': '$.stateToSave.stoppedAt' },
      End: true,
    });
  },
);
