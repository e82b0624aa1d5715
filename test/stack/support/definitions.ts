import type { Template } from 'aws-cdk-lib/assertions';
import { resolveValue, resourcesOfType } from './template-values.ts';

interface Retrier {
  ErrorEquals: string[];
  IntervalSeconds?: number;
  MaxAttempts?: number;
  BackoffRate?: number;
  MaxDelaySeconds?: number;
  JitterStrategy?: string;
}

interface Catcher {
  ErrorEquals: string[];
  Next: string;
  ResultPath?: string | null;
}

export interface State {
  Type: string;
  Resource?: string;
  Next?: string;
  End?: boolean;
  Default?: string;
  Choices?: Record<string, unknown>[];
  Retry?: Retrier[];
  Catch?: Catcher[];
  TimeoutSeconds?: number;
  MaxConcurrency?: number;
  Parameters?: Record<string, unknown>;
  ItemSelector?: Record<string, unknown>;
  ResultPath?: string | null;
  QueryLanguage?: string;
  /** Of states that use JSONata. */
  Arguments?: unknown;
  Output?: unknown;
  ItemProcessor?: { ProcessorConfig: { Mode: string }; StartAt: string; States: Record<string, State> };
}

export interface Definition {
  StartAt: string;
  States: Record<string, State>;
  TimeoutSeconds?: number;
  QueryLanguage?: string;
}

export const MACHINES = ['deploy', 'maintenance-window', 'build-indexes', 'start-services'] as const;
export type MachineName = (typeof MACHINES)[number];

/** The definitions of the state machines of a stack, by their names without `pg-deploy-step-ENVIRONMENT-`. */
export function definitionsOf(template: Template, environmentName: string): Record<MachineName, Definition> {
  const prefix = `pg-deploy-step-${environmentName}-`;
  const definitions = resourcesOfType(template, 'AWS::StepFunctions::StateMachine').map(([, machine]) => [
    String(machine.Properties.StateMachineName).replace(prefix, ''),
    JSON.parse(String(resolveValue(template, machine.Properties.DefinitionString))),
  ]);
  return Object.fromEntries(definitions);
}

/** All states of a state machine by name, including those in its Maps. Names are unique in a state machine. */
export function statesOf(definition: Pick<Definition, 'States'>): Record<string, State> {
  const all: Record<string, State> = {};
  for (const [name, state] of Object.entries(definition.States)) {
    all[name] = state;
    if (state.ItemProcessor) Object.assign(all, statesOf(state.ItemProcessor));
  }
  return all;
}

/** @throws Error with the existing names when the state does not exist */
export function stateOf(definition: Definition, name: string): State {
  const states = statesOf(definition);
  const state = states[name];
  if (state === undefined)
    throw new Error(`"${name}" is not one of the states ${Object.keys(states).join(', ')}.`);
  return state;
}

/** The next states of a Choice, in the order of its rules, the default last. */
export function branchesOf(state: State): string[] {
  return [...(state.Choices ?? []).map((choice) => String(choice.Next)), state.Default ?? '(none)'];
}

/** All states that can follow a state, also after an error. */
function nextOf(state: State): string[] {
  return [
    ...(state.Next === undefined ? [] : [state.Next]),
    ...(state.Type === 'Choice' ? branchesOf(state).filter((name) => name !== '(none)') : []),
    ...(state.Catch ?? []).map((catcher) => catcher.Next),
  ];
}

/**
 * The states that an execution can reach, with any data, without entering the state `without`. Includes those in Maps.
 * @throws Error when `without` does not exist, because its exclusion would prove nothing
 */
export function reachableWithout(
  definition: Pick<Definition, 'StartAt' | 'States'>,
  without?: string,
): Record<string, State> {
  const all = statesOf(definition);
  if (without !== undefined && all[without] === undefined)
    throw new Error(`The definition has no state "${without}".`);
  const reached: Record<string, State> = {};
  const open = [definition.StartAt];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const state = all[name];
    if (state === undefined || name === without || name in reached) continue;
    reached[name] = state;
    open.push(...nextOf(state), ...(state.ItemProcessor ? [state.ItemProcessor.StartAt] : []));
  }
  return reached;
}

/** Names of the Task states that change something: all that do not only read. */
export function changing(states: Record<string, State>): string[] {
  const reads = /:aws-sdk:\w+:(describe|get|list)\w+$/;
  // By the contract of a function of the user, this action changes nothing.
  const asks = ({ Arguments: sent }: State) =>
    (sent as { Payload?: { action?: string } } | undefined)?.Payload?.action === 'check';
  return Object.entries(states)
    .filter(([, state]) => state.Type === 'Task' && !reads.test(state.Resource ?? '') && !asks(state))
    .map(([name]) => name)
    .sort();
}
