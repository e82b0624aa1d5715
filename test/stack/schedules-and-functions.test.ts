import { beforeAll, describe, expect, test } from 'vitest';
import { branchesOf } from './support/definitions.ts';
import { type Machines, synthesiseMachines } from './support/machines.ts';
import { everyKindInput } from './support/synthesise.ts';

let machines: Machines;
beforeAll(async () => {
  machines = await synthesiseMachines({ every: everyKindInput() });
});

const window = (name: string) => machines.state('every', 'maintenance-window', name);
const start = (name: string) => machines.state('every', 'start-services', name);
const SCHEDULER = 'arn:aws:states:::aws-sdk:scheduler';

const catches = (state: ReturnType<typeof window>) =>
  state.Catch?.map(({ ErrorEquals: errors, Next: next }) => [...errors, next].join(' '));

describe('a schedule', () => {
  test('is refused for what cannot be restored, before its state is looked at', () => {
    expect(window('Describe Schedule')).toMatchObject({
      Resource: `${SCHEDULER}:getSchedule`,
      Next: 'Schedule Usable?',
    });
    expect(catches(window('Describe Schedule'))).toEqual([
      'Scheduler.ResourceNotFoundException Schedule Not Found',
      'States.DataLimitExceeded Service Not Checked',
      'States.ALL Service Not Checked',
    ]);
    expect(branchesOf(window('Schedule Usable?'))).toEqual([
      ...[
        'Schedule Runs Once',
        'Schedule Has Other Role',
        'Schedule Has Other Key',
        'Schedule Has Unknown Fields',
      ],
      ...['Service Can Be Stopped', 'Service Can Be Stopped', 'Schedule Cannot Be Restored'],
    ]);
  });

  test.each([
    {
      ...{ what: 'disabled', state: window, verb: 'Disable', wanted: 'DISABLED' },
      ...{ choice: 'Was Schedule Disabled?', failed: 'Service Stop Failed' },
    },
    {
      ...{ what: 'enabled', state: start, verb: 'Enable', wanted: 'ENABLED' },
      ...{ choice: 'Has Schedule Ended?', failed: 'Service Failed' },
    },
  ])(
    'is read right before it is $what, and all of it is sent back',
    ({ state, verb, wanted, choice, failed }) => {
      const read = state(`Read Schedule To ${verb}`);
      const change = state(`${verb} Schedule`);
      const second = state(`${verb} Schedule Without Past Start`);

      expect(read).toMatchObject({ Resource: `${SCHEDULER}:getSchedule`, Next: choice });
      expect(branchesOf(state(choice)).at(-1)).toBe(`${verb} Schedule`);
      for (const update of [change, second]) {
        expect(update).toMatchObject({
          ...{ Resource: `${SCHEDULER}:updateSchedule`, QueryLanguage: 'JSONata' },
          Next: `Begin ${verb}d Schedule Checks`,
        });
        expect(update.Arguments).toContain('$states.input.found.request');
        expect(update.Arguments).toContain(`{'State': '${wanted}'}`);
      }
      const others = [`States.DataLimitExceeded ${failed}`, `States.ALL ${failed}`];
      expect(catches(read)).toEqual(others);
      expect(catches(change)).toEqual([
        `Scheduler.ValidationException ${verb} Schedule Without Past Start`,
        ...others,
      ]);
      expect(catches(second)).toEqual(others);
      expect(second.Arguments).toContain("$field = 'StartDate' ? $toMillis($value) > $millis() : true");
    },
  );

  test('that was disabled stays disabled', () => {
    expect(branchesOf(start('Was Schedule Enabled?'))).toEqual(['Read Schedule To Enable', 'Service Steady']);
  });
});

describe('a service with a function of the user', () => {
  const CALLS = [
    ['maintenance-window', 'Ask Function To Check', 'check'],
    ['maintenance-window', 'Ask Function To Stop', 'stop'],
    ['maintenance-window', 'Look At Stopping', 'look'],
    ['start-services', 'Ask Function To Start', 'start'],
    ['start-services', 'Look At Starting', 'look'],
  ] as const;

  test.each(CALLS)(
    'in %s, %s invokes the function of its entry with the action %s',
    (machine, name, action) => {
      const state = machines.state('every', machine, name);

      expect(state).toMatchObject({
        ...{ Resource: 'arn:aws:states:::lambda:invoke', QueryLanguage: 'JSONata', TimeoutSeconds: 120 },
        Arguments: {
          FunctionName: '{% $states.input.service.function %}',
          Payload: { action, environment: 'every', name: '{% $states.input.service.name %}' },
        },
      });
      expect(state.Retry?.find(({ ErrorEquals: errors }) => errors.includes('RetryLater'))).toMatchObject({
        MaxAttempts: 30,
      });
      const failed = {
        check: 'Service Not Checked',
        stop: 'Service Stop Failed',
        start: 'Service Failed',
      };
      const next =
        name === 'Look At Stopping' ? failed.stop : action === 'look' ? failed.start : failed[action];
      expect(catches(state)).toEqual([`States.DataLimitExceeded ${next}`, `States.ALL ${next}`]);
    },
  );

  test('is stopped, and started, when the function says so in an answer that is understood', () => {
    expect(branchesOf(window('Look Finds It Stopped?'))).toEqual([
      ...['Look At Stopping Understood?', 'Service Not Stopped', 'Wait For Function To Stop'],
    ]);
    expect(branchesOf(window('Look At Stopping Understood?'))).toEqual([
      'Service Stopped',
      'Service Stop Failed',
    ]);
    expect(branchesOf(start('Look Finds It Started?'))).toEqual([
      ...['Look At Starting Understood?', 'Service Not Steady', 'Wait For Function To Start'],
    ]);
    expect(branchesOf(start('Look At Starting Understood?'))).toEqual(['Service Steady', 'Service Failed']);
  });
});
