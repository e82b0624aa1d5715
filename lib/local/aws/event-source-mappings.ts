import { z } from 'zod';
import { ACCOUNT, REGION } from '../account.ts';
import { type Actions, action, serviceError } from './action.ts';
import type { MappingState, StateFile } from './state-file.ts';

const SDK = 'arn:aws:states:::aws-sdk:lambda';

/** A change takes a moment in AWS too: it is seen at the second look. */
const LOOKS_UNTIL_CHANGED = 1;

/** Lambda: event source mappings, which change by way of Disabling and Enabling. */
export function eventSourceMappingActions(file: StateFile): Actions {
  const find = (uuid: string) => {
    const found = file.state.lambda.mappings.find((mapping) => mapping.uuid === uuid);
    if (found === undefined) {
      throw serviceError('Lambda.ResourceNotFoundException', 'The resource you requested does not exist.');
    }
    return found;
  };
  const answer = (mapping: MappingState) => ({
    EventSourceMappingArn: `arn:aws:lambda:${REGION}:${ACCOUNT}:event-source-mapping:${mapping.uuid}`,
    Uuid: mapping.uuid,
    State:
      mapping.looksLeft > 0
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
      const seen = answer(mapping);
      mapping.looksLeft = Math.max(0, mapping.looksLeft - 1);
      file.save();
      return seen;
    }),
    action(
      `${SDK}:updateEventSourceMapping`,
      z.strictObject({ Uuid: z.string(), Enabled: z.boolean() }),
      ({ Uuid, Enabled }) => {
        const mapping = find(Uuid);
        if (mapping.enabled !== Enabled) mapping.looksLeft = LOOKS_UNTIL_CHANGED;
        mapping.enabled = Enabled;
        file.save();
        return answer(mapping);
      },
    ),
  ]);
}
