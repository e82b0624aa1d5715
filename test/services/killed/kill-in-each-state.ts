import { afterAll, beforeAll, expect, test } from 'vitest';
import type { EngineEvent } from '../../../lib/local/engine.ts';
import { readServices } from '../../support/service-kinds.ts';
import { type Undo, World, type WorldOptions } from './world.ts';

/** Names of states, by state machine, separated by commas. */
type StatesByMachine = Partial<
  Record<'deploy' | 'maintenance-window' | 'build-indexes' | 'start-services', string>
>;

/** What a scenario changes before a deploy. */
interface Conditions {
  /** Called for each state that is entered. */
  onState?: (state: string) => void;
  /** Removes the conditions before the recovery. */
  remove?: Undo;
  /** Removes what the recovery must find as the deploy found it. */
  removeAfterRecovery?: Undo;
}

/** A situation in which the deploy is killed. */
export interface Scenario {
  name: string;
  /** Input of deploy. @default {} */
  input?: unknown;
  /** Creates the conditions. @default none */
  prepare?: (world: World) => Promise<Conditions>;
  /**
   * The deploy is killed in each of these states, one after the other. Each state of the definitions is in one scenario, which
   * always reaches it.
   */
  killedIn: StatesByMachine;
}

/** The states in which a scenario kills the deploy, as in LocalWorkflow.stateNames(): "deploy: Begin". */
export function statesOf({ killedIn }: Pick<Scenario, 'killedIn'>): string[] {
  return Object.entries(killedIn).flatMap(([machine, states]) =>
    states.split(',').map((state) => `${machine}: ${state.trim()}`),
  );
}

/** How often the schedule may have to repeat a recovery in these tests. */
const REPEATS = 10;

/**
 * Declares a test for each scenario: it runs the deploy to its end, and then kills it in each of the scenario's states. After each
 * of these runs the recovery, as the EventBridge rule starts it, must start all services again.
 */
export function killInEachState(scenarios: readonly Scenario[], options: WorldOptions = {}): void {
  let world: World;

  beforeAll(async () => {
    world = await World.open(options);
  });

  afterAll(async () => {
    await world.close();
  });

  test.each(scenarios)(
    '$name: after a kill in each of its states the services are started again',
    async (scenario) => {
      const before = readServices(world);
      for (const killedIn of [undefined, ...statesOf(scenario)]) {
        const { reached, removeAfterRecovery } = await runOnce(world, scenario, killedIn);
        await recover(world);
        await removeAfterRecovery?.();
        await world.workflow.aws.steady();
        expect({ killedIn, ...readServices(world) }).toEqual({ killedIn, ...before });
        if (killedIn !== undefined) expect(reached, 'the states of the deploy').toContain(killedIn);
        await world.reset();
      }
    },
    1_800_000,
  );
}

/** The name of an event's state, as in LocalWorkflow.stateNames(). */
const keyOf = ({ machine, state }: EngineEvent) =>
  `${machine.replace('pg-deploy-step-local-', '')}: ${state}`;

/**
 * Runs a deploy.
 * @param killIn the state in which it is killed @default it is not killed
 * @returns the states that it entered, and what removes the rest of its conditions
 */
export async function runOnce(
  world: World,
  { prepare, input = {} }: Pick<Scenario, 'prepare' | 'input'>,
  killIn?: string,
): Promise<{ reached: string[]; removeAfterRecovery: Undo | undefined }> {
  const entered = new Set<string>();
  const { onState, remove, removeAfterRecovery } = (await prepare?.(world)) ?? {};
  const { execution, ended } = world.workflow.start(input);
  world.observe = (event) => {
    if (event.type !== 'StateEntered') return;
    entered.add(keyOf(event));
    if (keyOf(event) === killIn) execution.abort();
    onState?.(event.state ?? '');
  };
  await ended;
  world.observe = () => {};
  await remove?.();
  return { reached: [...entered], removeAfterRecovery };
}

/** Recovers as the EventBridge rule does. Services that were left stopped deliberately, or are held, wait for a start by hand. */
async function recover(world: World): Promise<void> {
  const before = readServices(world);
  const { workflow } = world;
  await workflow.recover({ reason: 'deploy-ended', deploy: 'killed', status: 'ABORTED' });
  if (workflow.areServicesLeftStopped || workflow.areServicesHeld) {
    expect(readServices(world)).toEqual(before);
    await workflow.recover({});
  }
  // The schedule repeats it, for example if the tasks of a service could not connect before.
  for (let at = 0; at < REPEATS && workflow.servicesWithSavedState.length > 0; at += 1) {
    await workflow.recover({ reason: 'reconcile' });
  }
}
