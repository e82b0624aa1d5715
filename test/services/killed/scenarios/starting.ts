import { ECS, WINDOW } from '../../../../lib/workflow/state-names.ts';
import { waitUntil } from '../../../support/waits.ts';
import type { Scenario } from '../kill-in-each-state.ts';
import { change } from '../world.ts';

/** Services that do not start as they should. */
export const STARTING: readonly Scenario[] = [
  {
    name: 'a service that is deleted while it starts',
    prepare: async (world) => {
      let restore: (() => void) | undefined;
      return {
        onState: (state) => {
          if (state === ECS.beginStarting) restore ??= world.deleteWorker();
        },
        remove: async () => restore?.(),
      };
    },
    killedIn: { 'start-services': 'Service Gone' },
  },
  {
    name: 'a service with scaling that is at 0',
    prepare: async ({ aws }) => {
      const api = aws.ecs.services.find(({ service }) => service === 'api');
      if (api === undefined) throw new Error('The service api does not exist.');
      // Otherwise the local scaling raises the count.
      const undoScaling = change(aws.scaling.targets[0]?.SuspendedState, {
        DynamicScalingOutSuspended: true,
      });
      const undoCount = change(api, { desiredCount: 0 });
      await waitUntil('the end of the tasks of api', async () => api.tasks.length === 0);
      return {
        // The recovery restores the count that the deploy has saved.
        removeAfterRecovery: async () => {
          await undoCount();
          await undoScaling();
        },
      };
    },
    killedIn: { 'start-services': 'Count First Steady Check' },
  },
  {
    name: 'targets that become healthy',
    prepare: async ({ worker }) => ({
      onState: (state) => {
        if (state === ECS.targetsUnhealthy) worker.targetHealth = 'healthy';
      },
      remove: change(worker, { targetGroups: ['arn:targets'], targetHealth: 'initial' }),
    }),
    killedIn: {
      'start-services': `
        Check Targets, Describe Targets, Count Healthy Targets, Enough Healthy Targets?, Targets Unhealthy,
        Summarize Targets, All Targets Healthy?, Targets Healthy`,
    },
  },
  {
    name: 'a service that does not start',
    prepare: async (world) => ({
      onState: (state) => {
        // The tasks that start after this cannot connect.
        if (state === WINDOW.stopServices)
          world.worker.variables.DATABASE_URL = 'postgres://127.0.0.1:1/unreachable';
      },
      remove: async () => {
        world.worker.variables.DATABASE_URL = world.database.url;
        world.signalWorker('SIGKILL');
      },
    }),
    killedIn: { 'start-services': 'Service Not Steady, Service Not Done' },
  },
];
