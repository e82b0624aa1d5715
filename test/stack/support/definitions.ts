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
