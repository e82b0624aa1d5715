import { TaskError } from '../../../../lib/local/engine/errors.ts';
import type { Scenario } from '../kill-in-each-state.ts';
import { change } from '../world.ts';

const input = { mode: 'plan' };

/** Plans, which stop nothing: the recovery after a kill finds nothing to start. */
export const PLANS: readonly Scenario[] = [
  {
    name: 'a plan',
    input,
    killedIn: {
      deploy: 'No Lock Needed, Rehearse Maintenance Window',
      'maintenance-window':
        'Begin Rehearsal Of Saving, Read Left Stopped Marker, No Left Stopped Marker, Window Rehearsed',
    },
  },
  {
    name: 'a plan while a service is in the middle of a deployment',
    input,
    prepare: async ({ worker }) => ({
      remove: change(worker.deployments[0], { rolloutState: 'IN_PROGRESS', bakes: true }),
    }),
    killedIn: { 'maintenance-window': 'Deployment Running In Plan' },
  },
  {
    name: 'a plan whose role may not read a service',
    input,
    prepare: async (world) => {
      world.refuse = (resource) =>
        resource.endsWith(':getEventSourceMapping')
          ? new TaskError('Lambda.AccessDeniedException', 'not authorized')
          : undefined;
      return {
        remove: async () => {
          world.refuse = () => undefined;
        },
      };
    },
    killedIn: { 'maintenance-window': 'Service Not Checked' },
  },
];
