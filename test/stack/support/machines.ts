import type { EnvironmentInput } from '../../../lib/config/environment-config.ts';
import { type Definition, definitionsOf, type MachineName, type State, stateOf } from './definitions.ts';
import { synthesise } from './synthesise.ts';

/** The definitions of several environments. */
export interface Machines {
  machine(environmentName: string, name: MachineName): Definition;
  state(environmentName: string, machine: MachineName, name: string): State;
}

/** Synthesises environments and keeps only the definitions. */
export async function synthesiseMachines(environments: Record<string, EnvironmentInput>): Promise<Machines> {
  const synthesised = await synthesise(environments);
  try {
    const definitions = new Map(
      Object.keys(environments).map((name) => [name, definitionsOf(synthesised.template(name), name)]),
    );
    const machine = (environmentName: string, name: MachineName) => {
      const definition = definitions.get(environmentName)?.[name];
      if (definition === undefined) throw new Error(`${environmentName} has no state machine ${name}.`);
      return definition;
    };
    return {
      machine,
      state: (environmentName, name, state) => stateOf(machine(environmentName, name), state),
    };
  } finally {
    synthesised.dispose();
  }
}
