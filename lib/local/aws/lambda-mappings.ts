import { z } from 'zod';
import { localArn } from '../local-arns.ts';
import { type Actions, action, serviceError } from './action.ts';
import type { MappingState, StateFile } from './state-file.ts';

const SDK = 'arn:aws:states:::aws-sdk:lambda';

/** A change takes a moment in AWS too: the first read after it still returns the state Disabling or Enabling. */
const STALE_READS = 1;

/** Lambda: reads, enables and disables event source mappings. */
export function eventSourceMappingActions(file: StateFile): Actions {
  const find = (uuid: string) => {
    const found = file.state.lambda.mappings.find((mapping) => mapping.uuid === uuid);
    if (found === undefined) {
      throw serviceError('Lambda.ResourceNotFoundException', 'The resource you requested does not exist.');
    }
    return found;
  };
  const describe = (mapping: MappingState) => ({
    EventSourceMappingArn: localArn('lambda', `event-source-mapping:${mapping.uuid}`),
    Uuid: mapping.uuid,
    State:
      mapping.staleReads > 0
        ? mapping.enabled
          ? 'Enabling'
          : 'Disabling'
        : mapping.enabled
          ? 'Enabled'
          : 'Disabled',
  });
  return Object.fromEntries([
    action(`${SDK}:getEventSourceMapping`, z.strictObject({ Uuid: z.string() }), ({ Uuid }) => {
      const mapping = find(Uuid);
      const described = describe(mapping);
      mapping.staleReads = Math.max(0, mapping.staleReads - 1);
      file.save();
      return described;
    }),
    action(
      `${SDK}:updateEventSourceMapping`,
      z.strictObject({ Uuid: z.string(), Enabled: z.boolean() }),
      ({ Uuid, Enabled }) => {
        const mapping = find(Uuid);
        if (mapping.enabled !== Enabled) mapping.staleReads = STALE_READS;
        mapping.enabled = Enabled;
        file.save();
        return describe(mapping);
      },
    ),
  ]);
}
