import { z } from 'zod';
import { localArn } from '../local-arns.ts';
import { type Actions, action, serviceError } from './action.ts';
import { type Clock, timestampOf } from './clock.ts';
import type { ScheduleState, StateFile } from './state-file.ts';

const SDK = 'arn:aws:states:::aws-sdk:scheduler';

/** A change takes a moment: the first read after it still returns the old schedule. */
const STALE_READS = 1;
/** A start date may be this long ago. */
const PAST_MINUTES = 5;

const name = z.string().regex(/^[0-9a-zA-Z\-_.]{1,64}$/);
// In SDK integrations, a time is a text as in ISO 8601.
const time = z.iso.datetime();

const identity = z.strictObject({ Name: name, GroupName: name.default('default') });

/** What UpdateSchedule accepts. Fields that are missing get these values, whatever they were before. */
const scheduleSchema = z.strictObject({
  ...identity.shape,
  ActionAfterCompletion: z.enum(['NONE', 'DELETE']).default('NONE'),
  ClientToken: z.string().optional(),
  Description: z.string().max(512).optional(),
  EndDate: time.optional(),
  FlexibleTimeWindow: z.strictObject({
    Mode: z.enum(['OFF', 'FLEXIBLE']),
    MaximumWindowInMinutes: z.number().optional(),
  }),
  KmsKeyArn: z.string().optional(),
  ScheduleExpression: z.string().min(1).max(256),
  ScheduleExpressionTimezone: z.string().min(1).max(50).default('UTC'),
  StartDate: time.optional(),
  State: z.enum(['ENABLED', 'DISABLED']).default('ENABLED'),
  Target: z.looseObject({ Arn: z.string(), RoleArn: z.string() }),
});

/** A schedule, as CreateSchedule would accept it. */
export type LocalSchedule = Omit<z.input<typeof scheduleSchema>, 'ClientToken'>;

/** @throws ZodError for wrong values */
export function scheduleState(schedule: LocalSchedule, clock: Clock): ScheduleState {
  const at = timestampOf(clock);
  return { ...withoutToken(scheduleSchema.parse(schedule)), CreationDate: at, LastModificationDate: at };
}

/** EventBridge Scheduler: reads a schedule, and replaces it. */
export function schedulerActions(file: StateFile, clock: Clock): Actions {
  const find = ({ Name, GroupName }: z.output<typeof identity>) => {
    const at = file.state.scheduler.schedules.findIndex(
      (schedule) => schedule.Name === Name && schedule.GroupName === GroupName,
    );
    const found = file.state.scheduler.schedules[at];
    if (found === undefined) {
      throw serviceError('Scheduler.ResourceNotFoundException', `Schedule ${Name} does not exist.`);
    }
    return { at, found };
  };
  return Object.fromEntries([
    action(`${SDK}:getSchedule`, identity, (input) => {
      const { found } = find(input);
      const { stale, ...current } = found;
      const shown = stale !== undefined && stale.reads > 0 ? stale.schedule : current;
      if (stale !== undefined) found.stale = { ...stale, reads: Math.max(0, stale.reads - 1) };
      file.save();
      return { Arn: localArn('scheduler', `schedule/${input.GroupName}/${input.Name}`), ...shown };
    }),
    action(`${SDK}:updateSchedule`, scheduleSchema, (input) => {
      const { at, found } = find(input);
      const { stale: _, ...before } = found;
      const { StartDate } = input;
      if (StartDate !== undefined && Date.parse(StartDate) < clock.now() - PAST_MINUTES * 60_000) {
        throw serviceError(
          'Scheduler.ValidationException',
          `The StartDate you specify cannot be earlier than ${PAST_MINUTES} minutes ago.`,
        );
      }
      file.state.scheduler.schedules[at] = {
        ...withoutToken(input),
        CreationDate: found.CreationDate,
        LastModificationDate: timestampOf(clock),
        stale: { schedule: before, reads: STALE_READS },
      };
      file.save();
      return { ScheduleArn: localArn('scheduler', `schedule/${input.GroupName}/${input.Name}`) };
    }),
  ]);
}

function withoutToken({ ClientToken: _, ...schedule }: z.output<typeof scheduleSchema>) {
  return Object.fromEntries(
    Object.entries(schedule).filter(([, value]) => value !== undefined),
  ) as typeof schedule;
}
