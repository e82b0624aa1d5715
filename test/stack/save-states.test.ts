import { beforeAll, describe, expect, test } from 'vitest';
import { branchesOf, statesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { everyKindInput } from './support/synthesise.ts';

let machines: Machines;

beforeAll(async () => {
  machines = await synthesiseMachines({ every: everyKindInput() });
});

const state = (name: string) => machines.state('every', 'maintenance-window', name);

test('all states are saved before the first service is stopped', () => {
  expect(branchesOf(state('All Services Can Be Stopped?'))).toEqual([
    'Begin Rehearsal Of Saving',
    'Services Cannot Be Stopped',
    'Check Services Again',
    'Begin Saving',
  ]);
  expect(state('Save Services')).toMatchObject({ Next: 'Any Service Renamed?', ResultPath: '$.saved' });
  expect(branchesOf(state('Any Service Renamed?'))).toEqual(['List Renamed Services', 'Enable Reconciler']);
  expect(state('Enable Reconciler')).toMatchObject({
    Resource: 'arn:aws:states:::aws-sdk:eventbridge:enableRule',
    Parameters: { Name: 'pg-deploy-step-every-reconcile' },
    Next: 'Stop Services',
  });
  // Without the schedule no service is stopped.
  expect(state('Enable Reconciler').Catch).toBeUndefined();
  const saving = { States: state('Save Services').ItemProcessor?.States ?? {} };
  expect(Object.keys(statesOf(saving)).sort()).toEqual([
    'Count Raised Since?',
    'Read Earlier State',
    'Record Current State',
    'Save Earlier State',
    'Save Service State',
    'Service Saved',
    'Use Earlier State',
    'Use Raised Count',
  ]);
});

describe('the saved state of a service', () => {
  test('contains the service itself, its state and the deploy', () => {
    expect(state('Save Services').ItemProcessor?.StartAt).toBe('Record Current State');
    expect(state('Record Current State')).toMatchObject({
      Parameters: {
        'service.$': '$.service',
        'current.$': '$.toRestore',
        'stoppedAt.$': '$$.State.EnteredTime',
        'deploy.$': '$.deploy',
        'execution.$': '$.execution',
      },
      ResultPath: '$.stateToSave',
      Next: 'Save Service State',
    });
    const save = state('Save Service State');
    expect(save.Resource).toBe('arn:aws:states:::aws-sdk:ssm:putParameter');
    expect(save.Parameters).toMatchObject({ 'Name.$': '$.service.parameter', Overwrite: false });
    expect(save.Next).toBe('Service Saved');
    expect(save.Catch).toEqual([
      {
        ErrorEquals: ['Ssm.ParameterAlreadyExistsException'],
        Next: 'Read Earlier State',
        ResultPath: null,
      },
    ]);
  });

  test('is the one that an earlier deploy saved, if that deploy did not start the service', () => {
    expect(state('Read Earlier State').Next).toBe('Count Raised Since?');
    expect(branchesOf(state('Count Raised Since?'))).toEqual(['Use Raised Count', 'Use Earlier State']);
    expect(state('Use Earlier State')).toMatchObject({
      Parameters: {
        'service.$': '$.service',
        'current.$': '$.savedState.value.current',
        'stoppedAt.$': '$.savedState.value.stoppedAt',
        // Now it belongs to this deploy, so that no recovery starts the service in the meantime.
        'deploy.$': '$.deploy',
        'execution.$': '$.execution',
      },
      ResultPath: '$.stateToSave',
      Next: 'Save Earlier State',
    });
    expect(state('Save Earlier State').Parameters).toMatchObject({
      'Name.$': '$.service.parameter',
      Overwrite: true,
    });
    expect(state('Save Earlier State').Next).toBe('Service Saved');
  });

  test('has the count that someone else has raised since, and the scaling as that deploy found it', () => {
    const [rule] = state('Count Raised Since?').Choices ?? [];
    expect(rule).toMatchObject({
      And: expect.arrayContaining([
        {
          Variable: '$.current.desiredCount',
          NumericGreaterThanPath: '$.savedState.value.current.desiredCount',
        },
      ]),
    });
    expect(state('Use Raised Count')).toMatchObject({
      Parameters: {
        current: {
          'desiredCount.$': '$.current.desiredCount',
          'scaling.$': '$.savedState.value.current.scaling',
        },
        'stoppedAt.$': '$.savedState.value.stoppedAt',
        'execution.$': '$.execution',
      },
      ResultPath: '$.stateToSave',
      Next: 'Save Earlier State',
    });
  });

  test('is looked for under other names only if there are more states than services', () => {
    expect(state('Saved Under Other Names?')).toMatchObject({
      Choices: [
        { Variable: '$.rehearsal', BooleanEquals: true, Next: 'Read Left Stopped Marker' },
        { Variable: '$.listed.total.count', NumericGreaterThan: 8, Next: 'Read Other Saved States' },
      ],
      Default: 'Save Services',
    });
    expect(state('Same Service?')).toMatchObject({
      Choices: [
        {
          And: [
            { Variable: '$.other.resource', StringEqualsPath: '$.service.resource' },
            {
              Not: { Variable: '$.other.parameter', StringEqualsPath: '$.service.parameter' },
            },
          ],
          Next: 'Same Service',
        },
      ],
      Default: 'Different Service',
    });
    expect(state('Use State Of Other Name').Parameters).toMatchObject({
      'toRestore.$': '$.matches[0].current',
    });
  });
});
