import { beforeAll, describe, expect, test } from 'vitest';
import { branchesOf, changing, reachableWithout, statesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { everyKindInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({
    every: everyKindInput(),
    none: { ...everyKindInput(), services: [] },
  });
});

const state = (name: string) => machines.state('every', 'start-services', name);

const REASON = {
  And: [
    { Variable: '$.input.reason', IsPresent: true },
    {
      Or: [
        { Variable: '$.input.reason', StringEquals: 'deploy-ended' },
        { Variable: '$.input.reason', StringEquals: 'reconcile' },
        { Variable: '$.input.reason', StringEquals: 'stack-updated' },
        { Variable: '$.input.reason', StringEquals: 'hold-ended' },
      ],
    },
  ],
};

/** The text at the path is the marker of a hold. */
const IS_HOLD = (path: string) => ({
  And: [
    { Variable: path, IsPresent: true },
    { Variable: path, StringMatches: '*"hold":{*' },
  ],
});

/** Every error that a Catch can handle. */
const ofAnyError = (next: string, path = '$.failure') =>
  ['States.DataLimitExceeded', 'States.ALL'].map((error) => ({
    ErrorEquals: [error],
    Next: next,
    ResultPath: path,
  }));

const ifMissing = (next: string) => [
  { ErrorEquals: ['Ssm.ParameterNotFoundException'], Next: next, ResultPath: null },
];

test.each(['every', 'none'])(
  'has these states and no others, whatever services the environment %s has',
  (environment) => {
    expect(Object.keys(statesOf(machines.machine(environment, 'start-services'))).sort()).toEqual([
      'Acquire Recovery Lock',
      'Add Page Of Saved States',
      'Alert',
      'Alert Of Failure',
      'Alert Sent',
      'All Targets Healthy?',
      'Anything Saved Meanwhile?',
      'Anything Still Saved?',
      'Ask Function To Start',
      'Begin',
      'Begin Enabled Mapping Checks',
      'Begin Enabled Rule Checks',
      'Begin Enabled Schedule Checks',
      'Begin Looks At Starting',
      'Begin Migration Check',
      'Begin Starting Checks',
      'Check Enabled Mapping',
      'Check Enabled Rule',
      'Check Enabled Schedule',
      'Check Migrations',
      'Check Outcomes',
      'Check Starting Tasks',
      'Check Targets',
      'Collect Configured Service',
      'Configured Service',
      'Configured Service Found?',
      'Count Already Set?',
      'Count Enabled Mapping Check',
      'Count Enabled Rule Check',
      'Count Enabled Schedule Check',
      'Count First Steady Check',
      'Count Healthy Targets',
      'Count Look At Starting',
      'Count Migration Check',
      'Count Other Healthy Targets',
      'Count Recovery Lock Check',
      'Count Starting Check',
      'Count Steady Check',
      'Delete Hold Marker',
      'Delete Incident',
      'Delete Marker',
      'Delete Recorded Failure',
      'Delete Saved State',
      'Deploy Completed?',
      'Deploy Running?',
      'Deploy Still Running',
      'Describe Deploy',
      'Describe Held Service',
      'Describe Hold Limit',
      'Describe Holding Deploy',
      'Describe Other Recovery',
      'Describe Other Targets',
      'Describe Targets',
      'Disable Reconciler',
      'Enable Mapping',
      'Enable Reconciler',
      'Enable Rule',
      'Enable Schedule',
      'Enable Schedule Without Past Start',
      'End Hold',
      'End Hold?',
      'End Of Deploy Reported?',
      'Enough Healthy Targets?',
      'Enough Other Healthy Targets?',
      'Find Configured Service',
      'Has Incident?',
      'Has Schedule Ended?',
      'Held Count Raised?',
      'Held With Revision?',
      'Hold Has Ended',
      'Hold Limit Reached',
      'Hold Limit Running?',
      'Hold Of Ended Deploy?',
      'Holding Deploy Failed?',
      'Incident Not Recorded',
      'Incident Recorded',
      'Is Recovery?',
      'Is Service Steady?',
      'Known Incident',
      'Left Stopped',
      'List Complete?',
      'List More Saved States',
      'List Remaining States',
      'List Saved States',
      'Look At Starting',
      'Look At Starting Understood?',
      'Look Finds It Started?',
      'Mapping Enabled?',
      'Marker Of Hold?',
      'Merge Saved States',
      'Migrations Ended?',
      'More Saved States?',
      'Nothing Saved',
      'Other Recovery Gone?',
      'Other Recovery Running?',
      'Other Recovery Runs',
      'Other Service',
      'Own Hold?',
      'Own Recovery Lock?',
      'Prepare Alert',
      'Prepare Alert Hold Ended',
      'Prepare Alert Not Started',
      'Prepare Failure Alert',
      'Raised Count Enough?',
      'Read Completed Deploy',
      'Read Hold',
      'Read Incident',
      'Read Marker',
      'Read Marker At Hold Limit',
      'Read Marker To Delete',
      'Read Recovery Lock',
      'Read Saved State',
      'Read Saved State Again',
      'Read Schedule To Enable',
      'Record Incident',
      'Record Incidents',
      'Record Incidents?',
      'Record Raised Count',
      'Record Recovery Failure',
      'Record Running Migration',
      'Recovered',
      'Recovery Failed',
      'Release Recovery Lock',
      'Release Recovery Lock After Failure',
      'Resume Scaling',
      'Resume Scaling?',
      'Rule Enabled?',
      'Run Recovery',
      'Same Incident?',
      'Same Parameter?',
      'Saved By Other Deploy',
      'Saved By Same Deploy?',
      'Saved State Readable?',
      'Saved State Unreadable',
      'Saved States Not Listed',
      'Schedule Enabled?',
      'Send Alert?',
      'Service Done',
      'Service Failed',
      'Service Gone',
      'Service Not Done',
      'Service Not Steady',
      'Service Steady',
      'Services Held',
      'Services Started',
      'Set Revision Of Running Tasks',
      'Start As Recovery',
      'Start On Request',
      'Start Services',
      'Start Tasks',
      'Start Tasks On Revision',
      'Started As Recovery?',
      'Steady Long Enough?',
      'Summarize Targets',
      'Take Over Recovery Lock',
      'Targets Healthy',
      'Targets Unhealthy',
      'Tasks Running?',
      'Tasks Unchanged?',
      'Unknown Kind',
      'Use Configured Service',
      'Use Count Of Incident',
      'Use Due Revision',
      'Use Revision',
      'Use Saved Service',
      'Wait For Enabled Mapping',
      'Wait For Enabled Rule',
      'Wait For Enabled Schedule',
      'Wait For Function To Start',
      'Wait For Hold Limit',
      'Wait For Migrations',
      'Wait For Recovery Lock',
      'Wait For Tasks To Run',
      'Was Mapping Enabled?',
      'Was Rule Enabled?',
      'Was Schedule Enabled?',
      'Which Kind To Start?',
      'Which Kind Was Started?',
    ]);
  },
);

describe('the marker of services that are left stopped deliberately', () => {
  const marker = { Name: '/pg-deploy-step/every/left-stopped' };

  test('is respected by a recovery, which then starts no service', () => {
    expect(state('Started As Recovery?')).toMatchObject({
      Choices: [
        // The child execution of a recovery.
        {
          And: [
            REASON,
            { Variable: '$.input.request', IsPresent: true },
            { Variable: '$.input.marker', IsPresent: true },
            { Variable: '$.input.recovery', IsPresent: true },
            { Variable: '$.input.recovery', BooleanEquals: true },
          ],
          Next: 'Start As Recovery',
        },
        { ...REASON, Next: 'Read Marker' },
        {
          And: [
            { Variable: '$.input.reason', IsPresent: true },
            { Variable: '$.input.reason', StringEquals: 'hold-limit' },
          ],
          Next: 'Wait For Hold Limit',
        },
      ],
      Default: 'Read Marker To Delete',
    });
    expect(state('Read Marker')).toMatchObject({ Parameters: marker, Next: 'Marker Of Hold?' });
    expect(state('Marker Of Hold?').Choices?.[0]).toEqual({
      Not: IS_HOLD('$.marker.text'),
      Next: 'Left Stopped',
    });
    expect(state('Read Marker').Catch?.slice(0, 1)).toEqual(ifMissing('Acquire Recovery Lock'));
    expect(state('Left Stopped')).toEqual({ Type: 'Pass', Parameters: { services: [] }, End: true });
    expect(state('Start As Recovery').Parameters).toMatchObject({ recovery: true, 'input.$': '$.input' });
  });

  test('is deleted by a start that was requested; a missing marker is no error', () => {
    expect(state('Read Marker To Delete')).toMatchObject({ Parameters: marker, Next: 'End Hold?' });
    expect(state('Read Marker To Delete').Catch).toEqual(ifMissing('Start On Request'));
    expect(branchesOf(state('End Hold?'))).toEqual(['Delete Marker', 'Start On Request', 'End Hold']);
    expect(state('Delete Marker')).toMatchObject({
      Resource: 'arn:aws:states:::aws-sdk:ssm:deleteParameter',
      Parameters: marker,
      Next: 'Start On Request',
    });
    expect(state('Delete Marker').Catch).toEqual(ifMissing('Start On Request'));
    expect(state('Start On Request').Parameters).toMatchObject({ recovery: false });
  });
});

describe('the marker of a hold', () => {
  test('keeps the services stopped while its deploy has not failed and its limit is running', () => {
    expect(branchesOf(state('Marker Of Hold?'))).toEqual([
      'Left Stopped',
      'Acquire Recovery Lock',
      'Read Hold',
    ]);
    expect(branchesOf(state('Hold Of Ended Deploy?'))).toEqual([
      'Hold Limit Reached',
      'Acquire Recovery Lock',
      'Describe Holding Deploy',
    ]);
    expect(state('Describe Holding Deploy').Parameters).toEqual({
      'ExecutionArn.$': '$.hold.value.hold.execution',
    });
    expect(branchesOf(state('Holding Deploy Failed?'))).toEqual([
      'Acquire Recovery Lock',
      'Describe Hold Limit',
    ]);
    expect(state('Describe Hold Limit').Parameters).toEqual({ 'ExecutionArn.$': '$.hold.value.hold.limit' });
    expect(state('Hold Limit Running?')).toMatchObject({
      Choices: [{ Variable: '$.limit.status', StringEquals: 'RUNNING', Next: 'Services Held' }],
      Default: 'Hold Limit Reached',
    });
    // Deleted after 90 days; started a moment ago.
    expect(state('Describe Holding Deploy').Catch?.[0]?.Next).toBe('Hold Limit Reached');
    expect(state('Describe Hold Limit').Catch?.[0]?.Next).toBe('Services Held');
    // Nobody can read it.
    expect(state('Read Hold').Catch?.slice(0, 2)).toEqual([
      ...ifMissing('Acquire Recovery Lock'),
      { ErrorEquals: ['States.IntrinsicFailure'], Next: 'Hold Limit Reached', ResultPath: null },
    ]);
  });

  test('is read again after holdMinutes, and another hold is not ended', () => {
    expect(state('Wait For Hold Limit')).toMatchObject({ Seconds: 1_800, Next: 'Read Marker At Hold Limit' });
    expect(state('Read Marker At Hold Limit').Catch).toEqual(ofAnyError('Hold Has Ended', '$.ignored'));
    expect(state('Own Hold?').Choices?.[0]).toMatchObject({
      And: expect.arrayContaining([
        { Variable: '$.marker.value.hold.limit', StringEqualsPath: '$$.Execution.Id' },
      ]),
      Next: 'Hold Limit Reached',
    });
    expect(state('Own Hold?').Default).toBe('Hold Has Ended');
    expect(state('Hold Limit Reached')).toMatchObject({
      Parameters: { reason: 'hold-ended' },
      ResultPath: '$.input',
      Next: 'Acquire Recovery Lock',
    });
    // The machine may run as long as a hold and the recovery after it.
    const { TimeoutSeconds: limit = 0 } = machines.machine('every', 'start-services');
    const { TimeoutSeconds: recovery = 0 } = state('Run Recovery');
    expect(limit - recovery).toBe((30 + 15) * 60);
  });

  test('is marked as ended by a start on request, and deleted when all services have started', () => {
    expect(state('End Hold')).toMatchObject({
      Parameters: {
        Name: '/pg-deploy-step/every/left-stopped',
        'Value.$': `States.Format('\\{"hold":\\{"ended":true\\},"of":{}\\}', $.marker.text)`,
        Overwrite: true,
      },
      Next: 'Start On Request',
    });
    expect(state('Anything Still Saved?').Choices?.[1]).toEqual({
      ...IS_HOLD('$.marker'),
      Next: 'Delete Hold Marker',
    });
    expect(state('Delete Hold Marker')).toMatchObject({ Next: 'Disable Reconciler' });
  });

  test('means that a count which someone else has set is kept if it is as high as the saved one', () => {
    expect(state('Held Count Raised?')).toMatchObject({ Default: 'Start Tasks' });
    expect(state('Raised Count Enough?')).toMatchObject({
      Choices: [
        { Next: 'Set Revision Of Running Tasks' },
        {
          Variable: '$.raised.count',
          NumericGreaterThanEqualsPath: '$.savedState.value.current.desiredCount',
          Next: 'Begin Starting Checks',
        },
        { Next: 'Start Tasks On Revision' },
      ],
      Default: 'Start Tasks',
    });
  });
});

describe('a recovery', () => {
  test('does not start the services of a deploy that is still running', () => {
    expect(branchesOf(state('Is Recovery?'))).toEqual([
      'End Of Deploy Reported?',
      'Which Kind To Start?',
      'Begin Migration Check',
    ]);
    expect(branchesOf(state('End Of Deploy Reported?'))).toEqual(['Read Incident', 'Describe Deploy']);
    expect(state('Describe Deploy')).toMatchObject({
      Resource: 'arn:aws:states:::aws-sdk:sfn:describeExecution',
      Parameters: { 'ExecutionArn.$': '$.savedState.value.execution' },
      Next: 'Deploy Running?',
    });
    expect(state('Deploy Running?')).toMatchObject({
      Choices: [{ Variable: '$.deploy.status', StringEquals: 'RUNNING', Next: 'Deploy Still Running' }],
      Default: 'Read Incident',
    });
    expect(state('Deploy Still Running')).toMatchObject({
      Parameters: {
        service: { outcome: 'deploy-running', startedAt: null, stoppedAt: null, error: null },
        kept: true,
      },
      End: true,
    });
  });

  test('starts the services of a deploy whose execution no longer exists', () => {
    expect(state('Describe Deploy').Catch).toEqual([
      { ErrorEquals: ['Sfn.ExecutionDoesNotExistException'], Next: 'Read Incident', ResultPath: null },
      ...ofAnyError('Service Failed'),
    ]);
  });

  test('runs in a child execution of its own machine, and every error of it sends an alert', () => {
    expect(state('Run Recovery')).toMatchObject({
      Resource: 'arn:aws:states:::states:startExecution.sync:2',
      Parameters: {
        StateMachineArn:
          'arn:aws:states:eu-west-1:222222222222:stateMachine:pg-deploy-step-every-start-services',
        Input: { recovery: true, 'reason.$': '$.input.reason', 'request.$': '$.input' },
      },
      Next: 'Release Recovery Lock',
    });
    expect(state('Run Recovery').Catch).toEqual(ofAnyError('Release Recovery Lock After Failure'));
    expect(state('Release Recovery Lock After Failure').Next).toBe('Record Recovery Failure');
    // Only the first of several failures sends an alert. If it cannot be recorded, each of them does.
    expect(state('Record Recovery Failure')).toMatchObject({
      Parameters: { Name: '/pg-deploy-step/every/recovery-failed', Overwrite: false },
      Next: 'Prepare Failure Alert',
      Catch: [
        { ErrorEquals: ['Ssm.ParameterAlreadyExistsException'], Next: 'Recovery Failed', ResultPath: null },
        ...ofAnyError('Prepare Failure Alert', '$.ignored'),
      ],
    });
    expect(state('Alert Of Failure')).toMatchObject({ Next: 'Recovery Failed' });
    expect(state('Alert Of Failure').Catch).toEqual(ofAnyError('Recovery Failed', '$.ignored'));
    expect(state('Recovery Failed').Type).toBe('Fail');
  });

  test('acquires a lock with a conditional write, and takes it over only from an execution that has ended', () => {
    expect(state('Acquire Recovery Lock')).toMatchObject({
      Parameters: {
        Name: '/pg-deploy-step/every/recovery',
        'Value.$': '$$.Execution.Id',
        Overwrite: false,
      },
      Next: 'Run Recovery',
    });
    expect(state('Acquire Recovery Lock').Catch?.[0]).toEqual({
      ErrorEquals: ['Ssm.ParameterAlreadyExistsException'],
      Next: 'Read Recovery Lock',
      ResultPath: null,
    });
    expect(state('Other Recovery Running?')).toMatchObject({
      Choices: [{ Variable: '$.holder.status', StringEquals: 'RUNNING', Next: 'Other Recovery Runs' }],
      Default: 'Take Over Recovery Lock',
    });
    // Of two recoveries that take it over at the same time, the one whose name it contains afterwards runs.
    expect(state('Take Over Recovery Lock').Next).toBe('Wait For Recovery Lock');
    expect(state('Wait For Recovery Lock')).toMatchObject({ Seconds: 5, Next: 'Count Recovery Lock Check' });
    expect(state('Count Recovery Lock Check').Next).toBe('Read Recovery Lock');
    expect(state('Own Recovery Lock?')).toMatchObject({
      Choices: [{ Variable: '$.lock.text', StringEqualsPath: '$$.Execution.Id', Next: 'Run Recovery' }],
      Default: 'Describe Other Recovery',
    });
    // A recovery that has just started may not be shown yet.
    expect(state('Describe Other Recovery').Catch?.[0]).toEqual({
      ErrorEquals: ['Sfn.ExecutionDoesNotExistException'],
      Next: 'Other Recovery Gone?',
      ResultPath: null,
    });
    expect(state('Other Recovery Gone?')).toMatchObject({
      Choices: [
        { Variable: '$.lockChecks.count', NumericGreaterThanEquals: 3, Next: 'Take Over Recovery Lock' },
      ],
      Default: 'Wait For Recovery Lock',
    });
    // A lock that cannot be written keeps no service stopped.
    for (const name of ['Acquire Recovery Lock', 'Read Recovery Lock', 'Take Over Recovery Lock']) {
      expect(state(name).Catch?.slice(-2)).toEqual(ofAnyError('Run Recovery', '$.lockFailure'));
    }
  });

  test('sends an alert only for services that no alert has named', () => {
    expect(state('Check Outcomes').Parameters).toMatchObject({
      'toReport.$': '$.results[?(@.alerted == false)].service',
    });
    expect(state('Send Alert?')).toMatchObject({
      Choices: [
        { Not: { Variable: '$.recovery', BooleanEquals: true }, Next: 'Record Incidents?' },
        { Not: { Variable: '$.outcomes.toReport[0]', IsPresent: true }, Next: 'Alert Sent' },
        { Variable: '$.outcomes.notStarted[0]', IsPresent: true, Next: 'Prepare Alert Not Started' },
        { Variable: '$.input.reason', StringEquals: 'hold-ended', Next: 'Prepare Alert Hold Ended' },
      ],
      Default: 'Prepare Alert',
    });
    expect(state('Alert')).toMatchObject({ Resource: 'arn:aws:states:::sns:publish', Next: 'Alert Sent' });
    expect(state('Alert').Catch?.map((catcher) => catcher.Next)).toEqual(['Record Incidents?']);
  });

  test('sets a count once for an incident', () => {
    expect(state('Same Incident?').Choices?.[0]).toMatchObject({
      And: expect.arrayContaining([
        {
          Variable: '$.recorded.value.execution',
          StringEqualsPath: '$.savedState.value.execution',
        },
      ]),
      Next: 'Known Incident',
    });
    expect(state('Use Count Of Incident')).toMatchObject({ ResultPath: '$.counted' });
    expect(state('Count Already Set?')).toMatchObject({
      Choices: [
        { Variable: '$.counted.set', BooleanEquals: true, Next: 'Begin Starting Checks' },
        { Variable: '$.service.revision.to[0]', IsPresent: true, Next: 'Read Completed Deploy' },
        { Variable: '$.savedState.value.current.due[0]', IsPresent: true, Next: 'Use Due Revision' },
        { ...IS_HOLD('$.marker'), Next: 'Describe Held Service' },
      ],
      Default: 'Start Tasks',
    });
  });
});

test('the services come from the saved states, and from the configuration in case they cannot be listed', () => {
  const names = ['api', 'worker', 'nightly', 'orders', 'queue', 'invoices', 'export', 'batch'].map(
    (name) => `/pg-deploy-step/every/services/${name}`,
  );
  expect(state('Start On Request').Parameters).toMatchObject({ listed: { names } });
  expect(state('List Saved States')).toMatchObject({
    Resource: 'arn:aws:states:::aws-sdk:ssm:getParametersByPath',
    Parameters: { Path: '/pg-deploy-step/every/services', MaxResults: 10 },
  });
  expect(state('List Saved States').Catch).toEqual(ofAnyError('Start Services', '$.listFailure'));
  expect(state('List Complete?').Choices).toEqual([
    { Variable: '$.listFailure', IsPresent: true, Next: 'Saved States Not Listed' },
  ]);
  expect(state('Saved States Not Listed').Type).toBe('Fail');
});

test('starts a service only when no migration runs, unless the maintenance window has waited for it', () => {
  expect(state('Is Recovery?').Choices?.[1]).toMatchObject({
    Variable: '$$.Execution.Input.window[0]',
    IsPresent: true,
    Next: 'Which Kind To Start?',
  });
  expect(state('Use Count Of Incident').Next).toBe('Begin Migration Check');
  expect(branchesOf(state('Same Incident?'))).toEqual(['Known Incident', 'Begin Migration Check']);
  expect(branchesOf(state('Migrations Ended?'))).toEqual([
    'Which Kind To Start?',
    'Record Running Migration',
    'Wait For Migrations',
  ]);
  expect(state('Record Running Migration').Next).toBe('Which Kind To Start?');
});

test('does not change a service without a saved state', () => {
  expect(state('Read Saved State').Catch).toEqual([
    ...ifMissing('Nothing Saved'),
    ...ofAnyError('Service Failed'),
  ]);
  expect(state('Nothing Saved').Parameters).toEqual({
    service: { 'name.$': '$.name', outcome: 'nothing-saved', startedAt: null, stoppedAt: null, error: null },
    alerted: true,
    open: false,
    kept: false,
  });
  const one = state('Start Services').ItemProcessor;
  if (one === undefined) throw new Error('Start Services is not a Map.');
  expect(changing(reachableWithout(one, 'Read Saved State'))).toEqual([]);
});

test('an error in any state of one service is the failure of that service', () => {
  const one = state('Start Services').ItemProcessor;
  if (one === undefined) throw new Error('Start Services is not a Map.');
  const calls = Object.entries(one.States).filter(([, { Type: type }]) => type === 'Task' || type === 'Map');
  const caught = calls.map(([name, { Catch: catchers }]) => [name, catchers?.at(-1)?.ErrorEquals]);

  expect(caught.length).toBeGreaterThan(10);
  // It calls nothing.
  const withoutCalls = ['Find Configured Service'];
  expect(caught.filter(([, errors]) => errors === undefined).map(([name]) => name)).toEqual(withoutCalls);
  for (const [name, errors] of caught) {
    if (!withoutCalls.includes(String(name))) expect([name, errors]).toEqual([name, ['States.ALL']]);
  }
});

test('starts the saved number of tasks and checks them until the deadline', () => {
  expect(state('Start Tasks').Parameters).toMatchObject({
    'DesiredCount.$': '$.savedState.value.current.desiredCount',
  });
  const enough = (variable: string) => ({
    And: [
      { Variable: variable, IsPresent: true },
      {
        Variable: variable,
        NumericGreaterThanEqualsPath: '$.savedState.value.current.desiredCount',
      },
    ],
  });
  const running = {
    Or: [
      enough('$.tasks.onRevision[0]'),
      {
        And: [{ Not: { Variable: '$.tasks.onRevision[0]', IsPresent: true } }, enough('$.tasks.running[0]')],
      },
    ],
  };
  expect(state('Check Starting Tasks')).toMatchObject({
    ResultSelector: {
      'onRevision.$': "$.Services[*].Deployments[?(@.Status == 'PRIMARY')].RunningCount",
    },
  });
  expect(state('Tasks Running?')).toMatchObject({
    Choices: [
      { Not: { Variable: '$.tasks.active[0]', IsPresent: true }, Next: 'Service Gone' },
      {
        And: [running, { Variable: '$.tasks.loadBalancers[0]', IsPresent: true }],
        Next: 'Check Targets',
      },
      { ...running, Next: 'Tasks Unchanged?' },
    ],
    Default: 'Count Starting Check',
  });
  expect(state('Steady Long Enough?')).toMatchObject({
    Choices: [
      { Variable: '$.checks.steady', NumericGreaterThanEquals: 3, Next: 'Service Steady' },
      {
        And: [
          { Variable: '$.counted.known', IsPresent: true },
          { Variable: '$.checks.count', NumericGreaterThanEquals: 3 },
        ],
        Next: 'Service Not Steady',
      },
      // 15 minutes. With five services the pause is 11 seconds, so that the history of the execution is long enough.
      { Variable: '$.checks.count', NumericGreaterThanEquals: 53, Next: 'Service Not Steady' },
    ],
    Default: 'Wait For Tasks To Run',
  });
});

test('a target group must have the saved number of healthy targets, itself or its other one of a blue/green deployment', () => {
  expect(state('Describe Targets')).toMatchObject({
    Resource: 'arn:aws:states:::aws-sdk:elasticloadbalancingv2:describeTargetHealth',
    Parameters: { 'TargetGroupArn.$': '$.loadBalancer.TargetGroupArn' },
  });
  expect(state('Enough Healthy Targets?')).toMatchObject({
    Choices: [
      { Variable: '$.targets.healthy', NumericGreaterThanEqualsPath: '$.count', Next: 'Targets Healthy' },
      {
        Variable: '$.loadBalancer.AdvancedConfiguration.AlternateTargetGroupArn',
        IsPresent: true,
        Next: 'Describe Other Targets',
      },
    ],
    Default: 'Targets Unhealthy',
  });
  expect(branchesOf(state('All Targets Healthy?'))).toEqual(['Count Starting Check', 'Tasks Unchanged?']);
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

test('restores scaling as it was saved, and deletes the saved state only of a steady service', () => {
  for (const name of ['Service Steady', 'Service Not Steady']) {
    expect(state(name).Next).toBe('Which Kind Was Started?');
  }
  expect(state('Service Not Steady').Parameters).toEqual({ outcome: 'not-steady', startedAt: null });
  expect(state('Which Kind Was Started?')).toMatchObject({
    Choices: [{ Variable: '$.service.kind', StringEquals: 'ecs', Next: 'Resume Scaling?' }],
    Default: 'Is Service Steady?',
  });
  expect(state('Resume Scaling?')).toMatchObject({
    Choices: [
      {
        And: [
          { Variable: '$.savedState.value.current.scaling', IsPresent: true },
          { Variable: '$.savedState.value.current.scaling', IsNull: false },
          { Variable: '$.service.resourceId', IsPresent: true },
        ],
        Next: 'Resume Scaling',
      },
    ],
    Default: 'Is Service Steady?',
  });
  expect(state('Resume Scaling').Parameters).toMatchObject({
    'SuspendedState.$': '$.savedState.value.current.scaling',
  });
  expect(branchesOf(state('Is Service Steady?'))).toEqual(['Read Saved State Again', 'Service Not Done']);
  expect(branchesOf(state('Saved By Same Deploy?'))).toEqual(['Delete Saved State', 'Saved By Other Deploy']);
  expect(state('Delete Saved State').Catch).toEqual([
    ...ifMissing('Has Incident?'),
    ...ofAnyError('Service Failed'),
  ]);
});

test('disables the schedule only if nothing is saved, and lists the states again after that', () => {
  expect(branchesOf(state('Anything Still Saved?'))).toEqual([
    'Enable Reconciler',
    'Delete Hold Marker',
    'Disable Reconciler',
  ]);
  expect(state('Disable Reconciler')).toMatchObject({
    Resource: 'arn:aws:states:::aws-sdk:eventbridge:disableRule',
    Parameters: { Name: 'pg-deploy-step-every-reconcile' },
    Next: 'List Remaining States',
  });
  expect(branchesOf(state('Anything Saved Meanwhile?'))).toEqual(['Enable Reconciler', 'Services Started']);
  for (const name of ['Disable Reconciler', 'List Remaining States']) {
    expect(state(name).Catch).toEqual(ofAnyError('Enable Reconciler', '$.ignored'));
  }
  expect(state('Enable Reconciler').Catch).toEqual(ofAnyError('Services Started', '$.ignored'));
});
