import { z } from 'zod';
import { localArn } from '../local-arns.ts';
import { type Actions, action, serviceError } from './action.ts';
import type { StateFile } from './state-file.ts';

const SDK = 'arn:aws:states:::aws-sdk:eventbridge';
/** EventBridge is eventually consistent: the first read after a change still returns the old state. */
const STALE_READS = 1;

const parameters = z.strictObject({ Name: z.string().min(1), EventBusName: z.string().default('default') });

/** EventBridge: describes, enables and disables rules. */
export function eventBridgeActions(file: StateFile): Actions {
  const find = ({ Name, EventBusName }: z.output<typeof parameters>) => {
    const found = file.state.eventBridge.rules.find(
      (rule) => rule.name === Name && rule.eventBus === EventBusName,
    );
    if (found === undefined) {
      throw serviceError(
        'EventBridge.ResourceNotFoundException',
        `Rule ${Name} does not exist on EventBus ${EventBusName}.`,
      );
    }
    return found;
  };
  const change = (state: 'ENABLED' | 'DISABLED') => (rule: z.output<typeof parameters>) => {
    const found = find(rule);
    if (found.state !== state) found.staleReads = STALE_READS;
    found.state = state;
    file.save();
    return {};
  };
  return Object.fromEntries([
    action(`${SDK}:describeRule`, parameters, (input) => {
      const rule = find(input);
      const state = rule.staleReads ? (rule.state === 'ENABLED' ? 'DISABLED' : 'ENABLED') : rule.state;
      rule.staleReads = Math.max(0, (rule.staleReads ?? 0) - 1);
      file.save();
      return {
        Arn: localArn('events', `rule/${rule.name}`),
        EventBusName: rule.eventBus,
        Name: rule.name,
        State: state,
      };
    }),
    action(`${SDK}:disableRule`, parameters, change('DISABLED')),
    action(`${SDK}:enableRule`, parameters, change('ENABLED')),
  ]);
}
