import type { Template } from 'aws-cdk-lib/assertions';
import { resolveValue, resourcesOfType } from './template-values.ts';

export interface Retrier {
  ErrorEquals: string[];
  IntervalSeconds?: number;
  MaxAttempts?: number;
  BackoffRate?: number;
  MaxDelaySeconds?: number;
  JitterStrategy?: string;
}

export interface Catcher {
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

/** The definitions of a stack's machines by what follows `pg-deploy-step-ENVIRONMENT-` in their names. */
export function definitionsOf(template: Template, environmentName: string): Record<MachineName, Definition> {
  const prefix = `pg-deploy-step-${environmentName}-`;
  const definitions = resourcesOfType(template, 'AWS::StepFunctions::StateMachine').map(([, machine]) => [
    String(machine.Properties.StateMachineName).replace(prefix, ''),
    JSON.parse(String(resolveValue(template, machine.Properties.DefinitionString))),
  ]);
  return Object.fromEntries(definitions);
}

/** All states of a machine, those inside its Maps too, by name: names are unique in a machine. */
export function statesOf(definition: Pick<Definition, 'States'>): Record<string, State> {
  const all: Record<string, State> = {};
  for (const [name, state] of Object.entries(definition.States)) {
    all[name] = state;
    if (state.ItemProcessor) Object.assign(all, statesOf(state.ItemProcessor));
  }
  return all;
}

/** @throws Error listing the states that there are. */
export function stateOf(definition: Definition, name: string): State {
  const states = statesOf(definition);
  const state = states[name];
  if (state === undefined) throw new Error(`No state "${name}" among ${Object.keys(states).join(', ')}.`);
  return state;
}

/** Where a Choice goes, in the order in which it asks, its default last. */
export function waysOf(state: State): string[] {
  return [...(state.Choices ?? []).map((choice) => String(choice.Next)), state.Default ?? '(none)'];
}

/** Every state that a state can go to, its catches included. */
export function nextOf(state: State): string[] {
  return [
    ...(state.Next === undefined ? [] : [state.Next]),
    ...(state.Type === 'Choice' ? waysOf(state).filter((way) => way !== '(none)') : []),
    ...(state.Catch ?? []).map((catcher) => catcher.Next),
  ];
}

/** The states, those inside Maps too, that an execution can come to without ever entering the one called `without`. */
export function reachableWithout(
  definition: Pick<Definition, 'StartAt' | 'States'>,
  without: string,
): Record<string, State> {
  const reached: Record<string, State> = {};
  const open = [definition.StartAt];
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    const state = definition.States[name];
    if (state === undefined || name === without || name in reached) continue;
    reached[name] = state;
    open.push(...nextOf(state));
  }
  return statesOf({ States: reached });
}

/** Names of the tasks that change something: all that do not merely look. */
export function changing(states: Record<string, State>): string[] {
  const looks = /:aws-sdk:\w+:(describe|get|list)\w+$/;
  return Object.entries(states)
    .filter(([, state]) => state.Type === 'Task' && !looks.test(state.Resource ?? ''))
    .map(([name]) => name)
    .sort();
}
