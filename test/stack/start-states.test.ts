import { beforeAll, describe, expect, test } from 'vitest';
import { branchesOf, changing, reachableWithout, statesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { everyKindInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({ every: everyKindInput() });
});

const start = () => machines.machine('every', 'start-services');
const state = (name: string) => machines.state('every', 'start-services', name);

const ifMissing = (next: string) => [
  { ErrorEquals: ['Ssm.ParameterNotFoundException'], Next: next, ResultPath: null },
];

test('has these states and no others', () => {
  expect(Object.keys(statesOf(start())).sort()).toEqual([
    'Alert',
    'Begin',
    'Begin Enabled Mapping Checks',
    'Begin Enabled Rule Checks',
    'Begin Migration Check',
    'Begin Starting Checks',
    'Check Enabled Mapping',
    'Check Enabled Rule',
    'Check Migrations',
    'Check Outcomes',
    'Check Starting Tasks',
    'Count Enabled Mapping Check',
    'Count Enabled Rule Check',
    'Count Migration Check',
    'Count Starting Check',
    'Delete Marker',
    'Delete Saved State',
    'Deploy Running?',
    'Deploy Still Running',
    'Describe Deploy',
    'Enable Mapping',
    'Enable Rule',
    'End Of Deploy Reported?',
    'Is Recovery?',
    'Is Service Steady?',
    'Left Stopped',
    'Mapping Enabled?',
    'Migrations Ended?',
    'Nothing Saved',
    'Prepare Alert',
    'Read Marker',
    'Read Saved State',
    'Record Running Migration',
    'Resume Scaling',
    'Resume Scaling?',
    'Rule Enabled?',
    'Send Alert?',
    'Service Done',
    'Service Not Steady',
    'Service Steady',
    'Services Started',
    'Start As Recovery',
    'Start On Request',
    'Start Services',
    'Start Tasks',
    'Started As Recovery?',
    'Tasks Running?',
    'Wait For Enabled Mapping',
    'Wait For Enabled Rule',
    'Wait For Migrations',
    'Wait For Tasks To Run',
    'Was Mapping Enabled?',
    'Was Rule Enabled?',
    'Which Kind To Start?',
    'Which Kind Was Started?',
  ]);
});

describe('the marker of services that are left stopped deliberately', () => {
  const marker = { Name: '/pg-deploy-step/every/left-stopped' };

  test('is respected by a recovery, which then starts no service', () => {
    expect(state('Started As Recovery?')).toMatchObject({
      Choices: [
        {
          And: [
            { Variable: '$.input.reason', IsPresent: true },
            {
              Or: [
                { Variable: '$.input.reason', StringEquals: 'deploy-ended' },
                { Variable: '$.input.reason', StringEquals: 'reconcile' },
              ],
            },
          ],
          Next: 'Read Marker',
        },
      ],
      Default: 'Delete Marker',
    });
    expect(state('Read Marker')).toMatchObject({ Parameters: marker, Next: 'Left Stopped' });
    expect(state('Read Marker').Catch).toEqual(ifMissing('Start As Recovery'));
    expect(state('Left Stopped')).toEqual({ Type: 'Pass', Parameters: { services: [] }, End: true });
    expect(state('Start As Recovery').Parameters).toMatchObject({ recovery: true, 'input.$': '$.input' });
  });

  test('is deleted by a start that was requested; a missing marker is no error', () => {
    expect(state('Delete Marker')).toMatchObject({
      Resource: 'arn:aws:states:::aws-sdk:ssm:deleteParameter',
      Parameters: marker,
      Next: 'Start On Request',
    });
    expect(state('Delete Marker').Catch).toEqual(ifMissing('Start On Request'));
    expect(state('Start On Request').Parameters).toMatchObject({ recovery: false });
  });
});

describe('a recovery', () => {
  test('does not start the services of a deploy that is still running', () => {
    expect(branchesOf(state('Is Recovery?'))).toEqual([
      'End Of Deploy Reported?',
      'Which Kind To Start?',
      'Begin Migration Check',
    ]);
    expect(branchesOf(state('End Of Deploy Reported?'))).toEqual([
      'Begin Migration Check',
      'Describe Deploy',
    ]);
    expect(state('Describe Deploy')).toMatchObject({
      Resource: 'arn:aws:states:::aws-sdk:sfn:describeExecution',
      Parameters: { 'ExecutionArn.$': '$.savedState.value.execution' },
      Next: 'Deploy Running?',
    });
    expect(state('Deploy Running?')).toMatchObject({
      Choices: [{ Variable: '$.deploy.status', StringEquals: 'RUNNING', Next: 'Deploy Still Running' }],
      Default: 'Begin Migration Check',
    });
    expect(state('Deploy Still Running')).toMatchObject({
      Parameters: { outcome: 'deploy-running', startedAt: null, stoppedAt: null },
      End: true,
    });
  });

  test('starts the services of a deploy whose execution no longer exists', () => {
    expect(state('Describe Deploy').Catch).toEqual([
      {
        ErrorEquals: ['Sfn.ExecutionDoesNotExistException'],
        Next: 'Begin Migration Check',
        ResultPath: null,
      },
    ]);
  });

  test('starts a service only when no migration runs, unless the maintenance window has waited for it', () => {
    expect(state('Is Recovery?').Choices?.slice(1)).toEqual([
      { Variable: '$$.Execution.Input.window[0]', IsPresent: true, Next: 'Which Kind To Start?' },
    ]);
    expect(state('Is Recovery?').Default).toBe('Begin Migration Check');
    expect(branchesOf(state('Migrations Ended?'))).toEqual([
      'Which Kind To Start?',
      'Record Running Migration',
      'Wait For Migrations',
    ]);
    expect(state('Record Running Migration').Next).toBe('Which Kind To Start?');
  });

  test('sends an alert only if it started a service', () => {
    expect(state('Send Alert?')).toMatchObject({
      Choices: [
        {
          And: [
            { Variable: '$.recovery', BooleanEquals: true },
            {
              Or: [
                { Variable: '$.outcomes.started', BooleanEquals: true },
                { Variable: '$.outcomes.late', BooleanEquals: true },
              ],
            },
          ],
          Next: 'Prepare Alert',
        },
      ],
      Default: 'Services Started',
    });
    expect(state('Alert')).toMatchObject({
      Resource: 'arn:aws:states:::sns:publish',
      Next: 'Services Started',
    });
    expect(state('Alert').Catch?.map((catcher) => catcher.Next)).toEqual(['Services Started']);
  });
});

test('does not change a service without a saved state', () => {
  expect(state('Read Saved State').Catch).toEqual(ifMissing('Nothing Saved'));
  expect(state('Nothing Saved').Parameters).toEqual({
    'name.$': '$.service.name',
    outcome: 'nothing-saved',
    startedAt: null,
    stoppedAt: null,
  });
  const one = state('Start Services').ItemProcessor;
  if (one === undefined) throw new Error('Start Services is not a Map.');
  expect(changing(reachableWithout(one, 'Read Saved State'))).toEqual([]);
});

test('starts the saved number of tasks and checks them until the deadline', () => {
  expect(state('Start Tasks').Parameters).toMatchObject({
    'DesiredCount.$': '$.savedState.value.current.desiredCount',
  });
  expect(state('Tasks Running?')).toMatchObject({
    Choices: [
      {
        Variable: '$.counts.running',
        NumericEqualsPath: '$.savedState.value.current.desiredCount',
        Next: 'Service Steady',
      },
      // 15 minutes, checked every 10 seconds
      { Variable: '$.checks.count', NumericGreaterThanEquals: 90, Next: 'Service Not Steady' },
    ],
    Default: 'Wait For Tasks To Run',
  });
});

test.each([
  ['Rule', 'ENABLED', 'eventbridge:enableRule', { 'Name.$': '$.service.rule' }],
  ['Mapping', 'Enabled', 'lambda:updateEventSourceMapping', { 'Uuid.$': '$.service.uuid', Enabled: true }],
])(
  'enables a service of the kind %s if it was enabled, and leaves it off if it was off',
  (thing, on, call, fields) => {
    expect(state(`Was ${thing} Enabled?`)).toMatchObject({
      Choices: [{ Variable: '$.savedState.value.current.state', StringEquals: on, Next: `Enable ${thing}` }],
      Default: 'Service Steady',
    });
    expect(state(`Enable ${thing}`).Resource).toBe(`arn:aws:states:::aws-sdk:${call}`);
    expect(state(`Enable ${thing}`).Parameters).toMatchObject(fields);
    expect(branchesOf(state(`${thing} Enabled?`))).toEqual([
      'Service Steady',
      'Service Not Steady',
      `Wait For Enabled ${thing}`,
    ]);
  },
);

test('always restores scaling, and deletes the saved state only of a steady service', () => {
  for (const name of ['Service Steady', 'Service Not Steady']) {
    expect(state(name).Next).toBe('Which Kind Was Started?');
  }
  expect(state('Service Not Steady').Parameters).toEqual({ outcome: 'not-steady', startedAt: null });
  expect(state('Which Kind Was Started?').Choices).toContainEqual({
    Variable: '$.service.kind',
    StringEquals: 'ecs',
    Next: 'Resume Scaling?',
  });
  expect(branchesOf(state('Resume Scaling?'))).toEqual(['Resume Scaling', 'Is Service Steady?']);
  expect(state('Resume Scaling').Parameters).toMatchObject({
    'SuspendedState.$': '$.savedState.value.current.scaling',
  });
  expect(branchesOf(state('Is Service Steady?'))).toEqual(['Delete Saved State', 'Service Done']);
  expect(state('Delete Saved State').Catch).toEqual(ifMissing('Service Done'));
});
