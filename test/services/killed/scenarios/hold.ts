import { LOCAL_NAMES } from '../../../../lib/local/local-environment.ts';
import { markerName } from '../../../../lib/workflow/services/saved-state.ts';
import { MIGRATIONS } from '../../../../lib/workflow/state-names.ts';
import { runOnce, type Scenario } from '../kill-in-each-state.ts';
import type { World } from '../world.ts';

/** A deploy that holds the services, with everything built. */
async function held(world: World): Promise<void> {
  await world.workflow.start({}).ended;
  await world.workflow.start({ start: 'hold', force: true }).ended;
}

/** What the deployment of the application does. */
async function setWorkerCount({ workflow }: World, DesiredCount: number): Promise<void> {
  await workflow.aws.call(
    'arn:aws:states:::aws-sdk:ecs:updateService',
    { Cluster: 'demo', Service: 'worker', DesiredCount },
    AbortSignal.timeout(60_000),
  );
}

/** Services that stay stopped for the deployment of the application. */
export const HOLDS: readonly Scenario[] = [
  {
    name: 'a deploy that holds the services',
    input: { start: 'hold' },
    killedIn: { deploy: 'Start Hold Limit, Record Hold, Save Hold Marker' },
  },
  {
    name: 'a deploy that holds the services again',
    input: { start: 'hold' },
    prepare: async (world) => {
      await held(world);
      return {};
    },
    killedIn: {
      deploy: `
        Begin Hold Check, List Services To Hold, Add Page Of Services To Hold, Merge Services To Hold,
        More Services To Hold?, Any Service To Hold?`,
    },
  },
  {
    name: 'a start that ends a hold, of a service that already runs',
    input: { mode: 'start-services' },
    prepare: async (world) => {
      await held(world);
      await setWorkerCount(world, 1);
      await world.workflow.aws.steady();
      return {};
    },
    killedIn: {
      'start-services': `
        Read Marker To Delete, End Hold?, End Hold, Describe Held Service, Held Count Raised?, Record Raised Count,
        Raised Count Enough?, Delete Hold Marker`,
    },
  },
  {
    name: 'a start of services that were left stopped',
    input: { mode: 'start-services' },
    prepare: async (world) => {
      await runOnce(world, {}, `maintenance-window: ${MIGRATIONS.run}`);
      await world.workflow.aws.call(
        'arn:aws:states:::aws-sdk:ssm:putParameter',
        { ...{ Name: markerName(LOCAL_NAMES), Value: '{}', Type: 'String', Overwrite: true } },
        AbortSignal.timeout(60_000),
      );
      return {};
    },
    killedIn: { 'start-services': 'Delete Marker' },
  },
  {
    name: 'a service whose count was raised after an earlier deploy had stopped it',
    prepare: async (world) => {
      await runOnce(world, {}, `maintenance-window: ${MIGRATIONS.run}`);
      await world.functionsEnded();
      await setWorkerCount(world, 2);
      await world.workflow.aws.steady();
      return { removeAfterRecovery: async () => await setWorkerCount(world, 1) };
    },
    killedIn: { 'maintenance-window': 'Use Raised Count' },
  },
];
