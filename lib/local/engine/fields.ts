import type { State } from './definition.ts';

/** Fields of all states that pass input on. */
export const FLOW = ['Type', 'Comment', 'QueryLanguage', 'Next', 'End', 'InputPath', 'OutputPath'];
/** Fields of what may fail and of where its result goes, except templates. */
export const RESULT = ['ResultPath', 'Retry', 'Catch'];
const FIELDS: Readonly<Record<string, readonly string[]>> = {
  Task: [
    ...FLOW,
    ...RESULT,
    'ResultSelector',
    'Parameters',
    'Resource',
    'TimeoutSeconds',
    'TimeoutSecondsPath',
  ],
  Map: [
    ...[
      ...FLOW,
      ...RESULT,
      'ResultSelector',
      'ItemProcessor',
      'Iterator',
      'ItemsPath',
      'ItemSelector',
      'Parameters',
    ],
    ...['MaxConcurrency', 'MaxConcurrencyPath'],
  ],
  Parallel: [...FLOW, ...RESULT, 'ResultSelector', 'Parameters', 'Branches'],
  Pass: [...FLOW, 'ResultPath', 'Parameters', 'Result'],
  Wait: [...FLOW, 'Seconds', 'SecondsPath', 'Timestamp', 'TimestampPath'],
  Choice: ['Type', 'Comment', 'QueryLanguage', 'InputPath', 'OutputPath', 'Choices', 'Default'],
  Succeed: ['Type', 'Comment', 'QueryLanguage', 'InputPath', 'OutputPath'],
  Fail: ['Type', 'Comment', 'QueryLanguage', 'Error', 'Cause', 'ErrorPath', 'CausePath'],
};

/** @throws Error naming the state and the fields that the engine would silently overlook */
export function refuseUnknownFields(name: string, state: State): void {
  const fields = FIELDS[state.Type];
  if (fields === undefined) throw new Error(`The state "${name}" is of an unknown type, ${state.Type}.`);
  const unknown = Object.keys(state).filter((field) => !fields.includes(field));
  if (unknown.length > 0) {
    throw new Error(
      `The state "${name}" has ${unknown.join(', ')}, which the local engine does not know. ` +
        `Fields of ${state.Type}: ${fields.join(', ')}.`,
    );
  }
  refuseOther(state.QueryLanguage, 'JSONPath', `The state "${name}"`, 'QueryLanguage');
}

/** @throws Error when a field has another value than the only one that the engine knows */
export function refuseOther(value: unknown, only: string, what: string, field: string): void {
  if (value === undefined || value === only) return;
  throw new Error(`${what} has ${field} ${String(value)}; the local engine knows ${only} only.`);
}
