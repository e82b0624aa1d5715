import { CUSTOM, SCHEDULE, WINDOW } from '../../../../lib/workflow/state-names.ts';
import { CUSTOM_SERVICE } from '../../../support/service-kinds.ts';
import type { Scenario } from '../kill-in-each-state.ts';
import { change, removeFirst, type Undo, type World } from '../world.ts';

/** The schedule that is enabled. A change in the local AWS replaces the object. */
const invoices = ({ aws }: World) => aws.scheduler.schedules.find(({ Name }) => Name === 'invoices') ?? {};

/** The next look of the function finds the service neither stopped nor started. */
function notYet(): void {
  CUSTOM_SERVICE.answer({ look: { returns: { stopped: false, started: false }, times: 1 } });
}

const answerAgain: Undo = async () => CUSTOM_SERVICE.answer({});

/** Schedules, and a service with a function of its own. */
export const SCHEDULES_AND_FUNCTIONS: readonly Scenario[] = [
  {
    name: 'a schedule and a function that stop',
    prepare: async () => ({
      onState: (state) => {
        if (state === CUSTOM.stop) notYet();
      },
      remove: answerAgain,
    }),
    killedIn: {
      'maintenance-window': `
        Describe Schedule, Schedule Usable?, Ask Function To Check, Function Can Stop Service?, Read Schedule To Disable,
        Was Schedule Disabled?, Disable Schedule, Begin Disabled Schedule Checks, Check Disabled Schedule, Schedule Disabled?,
        Wait For Disabled Schedule, Count Disabled Schedule Check, Ask Function To Stop, Begin Looks At Stopping,
        Look At Stopping, Look Finds It Stopped?, Wait For Function To Stop, Count Look At Stopping,
        Look At Stopping Understood?`,
    },
  },
  {
    name: 'a schedule and a function that start',
    prepare: async () => ({
      onState: (state) => {
        if (state === CUSTOM.start) notYet();
      },
      remove: answerAgain,
    }),
    killedIn: {
      'start-services': `
        Was Schedule Enabled?, Read Schedule To Enable, Has Schedule Ended?, Enable Schedule, Begin Enabled Schedule Checks,
        Check Enabled Schedule, Schedule Enabled?, Wait For Enabled Schedule, Count Enabled Schedule Check,
        Ask Function To Start, Begin Looks At Starting, Look At Starting, Look Finds It Started?, Wait For Function To Start,
        Count Look At Starting, Look At Starting Understood?`,
    },
  },
  {
    name: 'a schedule whose start date has passed',
    prepare: async (world) => {
      const { StartDate } = { StartDate: undefined, ...invoices(world) };
      const past = { StartDate: '2020-01-01T00:00:00Z' };
      Object.assign(invoices(world), past);
      return {
        onState: (state) => {
          if (state === WINDOW.summarizeStopped) Object.assign(invoices(world), past);
        },
        // Scheduler refuses this date, so that it is removed.
        removeAfterRecovery: async () => Object.assign(invoices(world), { StartDate }),
      };
    },
    killedIn: {
      'maintenance-window': SCHEDULE.disableWithoutStart,
      'start-services': SCHEDULE.enableWithoutStart,
    },
  },
];

const refused = (name: string, prepare: (world: World) => Undo, state: string): Scenario => ({
  name,
  prepare: async (world) => ({ remove: prepare(world) }),
  killedIn: { 'maintenance-window': state },
});

/** Schedules that cannot be stopped, so that a deploy stops nothing. */
export const REFUSED_SCHEDULES: readonly Scenario[] = [
  refused(
    'a schedule that does not exist',
    ({ aws }) => removeFirst(aws.scheduler.schedules),
    SCHEDULE.notFound,
  ),
  refused(
    'a schedule that runs once',
    (world) => change(invoices(world), { ScheduleExpression: 'at(2098-11-20T13:00:00)' }),
    SCHEDULE.runsOnce,
  ),
  refused(
    'a schedule with another role',
    (world) =>
      change(invoices(world), { Target: { Arn: 'arn:aws:sqs:x', RoleArn: 'arn:aws:iam::1:role/x' } }),
    SCHEDULE.otherRole,
  ),
  refused(
    'a schedule with a key',
    (world) => change(invoices(world), { KmsKeyArn: 'arn:aws:kms:eu-west-1:000000000000:key/1' }),
    SCHEDULE.otherKey,
  ),
  refused(
    'a schedule with a field that is unknown',
    (world) => change(invoices(world), { Priority: 7 }),
    SCHEDULE.unknownFields,
  ),
  refused(
    'a schedule that is neither enabled nor disabled',
    (world) => change(invoices(world), { State: 'PAUSED' }),
    SCHEDULE.otherState,
  ),
];
