import { beforeAll, describe, expect, test } from 'vitest';
import { changing, reachableWithout, statesOf, waysOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { everyKindInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({ every: everyKindInput() });
});

const start = () => machines.machine('every', 'start-services');
const task = (name: string) => machines.state('every', 'start-services', name);

const notThere = (next: string) => [
  { ErrorEquals: ['Ssm.ParameterNotFoundException'], Next: next, ResultPath: null },
];

test('has these states and no others', () => {
  expect(Object.keys(statesOf(start())).sort()).toEqual([
    'Alert',
    'Begin',
    'Count Look: Mapping Enabled',
    'Count Look: Rule Enabled',
    'Count Look: Tasks Running',
    'Deploy Still Runs?',
    'Enable Mapping',
    'Enable Rule',
    'Forget Marker',
    'Forget Service',
    'Is A Recovery?',
    'Is Steady?',
    'Left To Its Deploy',
    'Look At Its Deploy',
    'Look At Outcomes',
    'Look At Starting Tasks',
    'Look For Marker',
    'Look Whether Mapping Enabled',
    'Look Whether Rule Enabled',
    'Mapping Enabled?',
    'Note Not Steady',
    'Note Steady',
    'Nothing Remembered',
    'Pause: Mapping Enabled',
    'Pause: Rule Enabled',
    'Pause: Tasks Running',
    'Recall Service',
    'Recovers?',
    'Resume Scaling',
    'Rule Enabled?',
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
    'Wait Until Mapping Enabled',
    'Wait Until Rule Enabled',
    'Wait Until Tasks Running',
    'Was Mapping Enabled?',
    'Was Rule Enabled?',
    'Which Kind To Start?',
    'Which Kind Was Started?',
    'Word Alert',
  ]);
});

describe('the marker of services left stopped on purpose', () => {
  const marker = { Name: '/pg-deploy-step/every/left-stopped' };

  test('is heeded by a recovery, which starts nothing then', () => {
    expect(task('Is A Recovery?')).toMatchObject({
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
          Next: 'Look For Marker',
        },
      ],
      Default: 'Forget Marker',
    });
    expect(task('Look For Marker')).toMatchObject({ Parameters: marker, Next: 'Stopped On Purpose' });
    expect(task('Look For Marker').Catch).toEqual(notThere('Start As Recovery'));
    expect(task('Stopped On Purpose')).toEqual({ Type: 'Pass', Parameters: { services: [] }, End: true });
    expect(task('Start As Recovery').Parameters).toMatchObject({ recovery: true, 'input.$': '$.input' });
  });

  test('is cleared by a deploy and by a person, also where there is none', () => {
    expect(task('Forget Marker')).toMatchObject({
      Resource: 'arn:aws:states:::aws-sdk:ssm:deleteParameter',
      Parameters: marker,
      Next: 'Start As Ordered',
    });
    expect(task('Forget Marker').Catch).toEqual(notThere('Start As Ordered'));
    expect(task('Start As Ordered').Parameters).toMatchObject({ recovery: false });
  });
});

describe('a recovery', () => {
  test('takes nothing away from a deploy that still runs', () => {
    expect(waysOf(task('Recovers?'))).toEqual(['Look At Its Deploy', 'Which Kind To Start?']);
    expect(task('Look At Its Deploy')).toMatchObject({
      Resource: 'arn:aws:states:::aws-sdk:sfn:describeExecution',
      Parameters: { 'ExecutionArn.$': '$.memory.value.execution' },
      Next: 'Deploy Still Runs?',
    });
    expect(task('Deploy Still Runs?')).toMatchObject({
      Choices: [{ Variable: '$.deploy.status', StringEquals: 'RUNNING', Next: 'Left To Its Deploy' }],
      Default: 'Which Kind To Start?',
    });
    expect(task('Left To Its Deploy')).toMatchObject({
      Parameters: { outcome: 'left-to-its-deploy', startedAt: null, stoppedAt: null },
      End: true,
    });
  });

  test('starts what belongs to a deploy that Step Functions has forgotten', () => {
    expect(task('Look At Its Deploy').Catch).toEqual([
      {
        ErrorEquals: ['Sfn.ExecutionDoesNotExistException'],
        Next: 'Which Kind To Start?',
        ResultPath: null,
      },
    ]);
  });

  test('tells people when it had something to start, and only then', () => {
    expect(task('Tell People?')).toMatchObject({
      Choices: [
        {
          And: [
            { Variable: '$.recovery', BooleanEquals: true },
            {
              Or: [
                { Variable: '$.look.started', BooleanEquals: true },
                { Variable: '$.look.late', BooleanEquals: true },
              ],
            },
          ],
          Next: 'Word Alert',
        },
      ],
      Default: 'Started',
    });
    expect(task('Alert')).toMatchObject({ Resource: 'arn:aws:states:::sns:publish', Next: 'Started' });
    expect(task('Alert').Catch?.map((catcher) => catcher.Next)).toEqual(['Started']);
  });
});

test('leaves a service alone that was not remembered', () => {
  expect(task('Recall Service').Catch).toEqual(notThere('Nothing Remembered'));
  expect(task('Nothing Remembered').Parameters).toEqual({
    'name.$': '$.service.name',
    outcome: 'nothing-remembered',
    startedAt: null,
    stoppedAt: null,
  });
  const one = task('Start Services').ItemProcessor;
  if (one === undefined) throw new Error('Start Services is no Map.');
  expect(changing(reachableWithout(one, 'Recall Service'))).toEqual([]);
});

test('starts the remembered count and looks until the deadline', () => {
  expect(task('Start Tasks').Parameters).toMatchObject({
    'DesiredCount.$': '$.memory.value.current.desiredCount',
  });
  expect(task('Tasks Running?')).toMatchObject({
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

test.each([
  ['Rule', 'ENABLED', 'eventbridge:enableRule', { 'Name.$': '$.service.rule' }],
  ['Mapping', 'Enabled', 'lambda:updateEventSourceMapping', { 'Uuid.$': '$.service.uuid', Enabled: true }],
])(
  'enables a service of the kind %s if it was enabled, and leaves it off if it was off',
  (thing, on, call, fields) => {
    expect(task(`Was ${thing} Enabled?`)).toMatchObject({
      Choices: [{ Variable: '$.memory.value.current.state', StringEquals: on, Next: `Enable ${thing}` }],
      Default: 'Note Steady',
    });
    expect(task(`Enable ${thing}`).Resource).toBe(`arn:aws:states:::aws-sdk:${call}`);
    expect(task(`Enable ${thing}`).Parameters).toMatchObject(fields);
    expect(waysOf(task(`${thing} Enabled?`))).toEqual([
      'Note Steady',
      'Note Not Steady',
      `Pause: ${thing} Enabled`,
    ]);
  },
);

test('resumes scaling as it was, in any case, and forgets only what runs steadily', () => {
  for (const name of ['Note Steady', 'Note Not Steady']) {
    expect(task(name).Next).toBe('Which Kind Was Started?');
  }
  expect(task('Note Not Steady').Parameters).toEqual({ outcome: 'not-steady', startedAt: null });
  expect(task('Which Kind Was Started?').Choices).toContainEqual({
    Variable: '$.service.kind',
    StringEquals: 'ecs',
    Next: 'Scaling To Resume?',
  });
  expect(waysOf(task('Scaling To Resume?'))).toEqual(['Resume Scaling', 'Is Steady?']);
  expect(task('Resume Scaling').Parameters).toMatchObject({
    'SuspendedState.$': '$.memory.value.current.scaling',
  });
  expect(waysOf(task('Is Steady?'))).toEqual(['Forget Service', 'Service Done']);
  expect(task('Forget Service').Catch).toEqual(notThere('Service Done'));
});
