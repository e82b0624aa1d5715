import { z } from 'zod';
import { ACCOUNT, REGION } from '../account.ts';
import { type Actions, action, serviceError } from './action.ts';
import type { StateFile } from './state-file.ts';

const SDK = 'arn:aws:states:::aws-sdk:eventbridge';
/** Switching a rule is eventually consistent: it is seen at the second look. */
const LOOKS_UNTIL_CHANGED = 1;

const parameters = z.strictObject({ Name: z.string().min(1), EventBusName: z.string().default('default') });

/** EventBridge: describe, enable and disable a rule. */
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
  const set = (state: 'ENABLED' | 'DISABLED') => (rule: z.output<typeof parameters>) => {
    const found = find(rule);
    if (found.state !== state) found.looksLeft = LOOKS_UNTIL_CHANGED;
    found.state = state;
    file.save();
    return {};
  };
  return Object.fromEntries([
    action(`${SDK}:describeRule`, parameters, (wanted) => {
      const rule = find(wanted);
      const seen = rule.looksLeft ? (rule.state === 'ENABLED' ? 'DISABLED' : 'ENABLED') : rule.state;
      rule.looksLeft = Math.max(0, (rule.looksLeft ?? 0) - 1);
      file.save();
      return {
        Arn: `arn:aws:events:${REGION}:${ACCOUNT}:rule/${rule.name}`,
        EventBusName: rule.eventBus,
        Name: rule.name,
        State: seen,
      };
    }),
    action(`${SDK}:disableRule`, parameters, set('DISABLED')),
    action(`${SDK}:enableRule`, parameters, set('ENABLED')),
  ]);
}
