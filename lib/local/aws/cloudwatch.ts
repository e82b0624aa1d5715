import { z } from 'zod';
import { type Actions, action, serviceError } from './action.ts';
import { type Clock, timestampOf } from './clock.ts';
import type { StateFile } from './state-file.ts';

const datum = z.strictObject({
  MetricName: z.string().min(1).max(255),
  Value: z.number(),
  Unit: z.literal('Count'),
});

/** CloudWatch: stores the data points of metrics in the state file. */
export function cloudWatchActions(file: StateFile, clock: Clock): Actions {
  return Object.fromEntries([
    action(
      'arn:aws:states:::aws-sdk:cloudwatch:putMetricData',
      z.strictObject({ Namespace: z.string().min(1).max(255), MetricData: z.array(datum).max(1000) }),
      ({ Namespace, MetricData }) => {
        if (Namespace.startsWith('AWS/') || !/^[\w.#:/ -]+$/.test(Namespace))
          throw serviceError(
            'CloudWatch.InvalidParameterValueException',
            `The value ${Namespace} for parameter Namespace is invalid.`,
          );
        for (const { MetricName: metric, Value: value } of MetricData)
          file.state.cloudWatch.data.push({ namespace: Namespace, metric, value, at: timestampOf(clock) });
        file.save();
        return {};
      },
    ),
  ]);
}
