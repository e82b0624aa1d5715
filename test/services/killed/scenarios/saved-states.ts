import { MIGRATIONS } from '../../../../lib/workflow/state-names.ts';
import { runOnce, type Scenario } from '../kill-in-each-state.ts';
import type { World } from '../world.ts';

/** A deploy that was killed after it had stopped the services. */
async function killedEarlier(world: World): Promise<void> {
  await runOnce(world, {}, `maintenance-window: ${MIGRATIONS.run}`);
  // The preflight refuses the next deploy while the killed one's function still holds the migration lock.
  await world.functionsEnded();
}

/** The next deploy after one that was killed. */
export const NEXT_DEPLOY: readonly Scenario[] = [
  {
    name: 'services that an earlier deploy left stopped',
    prepare: async (world) => {
      await killedEarlier(world);
      return {};
    },
    killedIn: {
      deploy: 'Whose Lock?, Begin Lock Checks, Describe Lock Holder, Lock Holder Ended?, Prepare Lock',
      'maintenance-window':
        'Record Scaling Unchanged, Read Earlier State, Count Raised Since?, Use Earlier State, Save Earlier State',
    },
  },
  {
    name: 'a service that was renamed while it was stopped',
    prepare: async (world) => {
      await killedEarlier(world);
      const { parameters } = world.aws.ssm;
      for (const [name, parameter] of world.savedStates.filter(([name]) => name.endsWith('/worker'))) {
        delete parameters[name];
        parameters[name.replace('worker', 'old-name')] = parameter;
      }
      return {};
    },
    killedIn: {
      'maintenance-window': `
        Read Other Saved States, Read Other Saved State, Other Saved State Readable?, No Other Saved State,
        Other Saved State, Collect Other Saved States, Find Renamed Services, Compare Saved States, Same Service?,
        Different Service, Same Service, Collect Matches, Service Renamed?, Service Not Renamed, Use State Of Other Name,
        List Renamed Services, Delete States Of Other Names, Delete State Of Other Name, State Of Other Name Deleted`,
    },
  },
];

/** A start of the services that a killed deploy left stopped. */
export const START_AFTER_KILL: readonly Scenario[] = [
  {
    name: 'saved states of an earlier version',
    input: { mode: 'start-services' },
    prepare: async (world) => {
      await killedEarlier(world);
      for (const [, parameter] of world.savedStates) {
        const { service: _service, ...earlier } = JSON.parse(parameter.Value);
        Object.assign(parameter, { Value: JSON.stringify(earlier) });
      }
      return {};
    },
    killedIn: {
      'start-services': `
        Find Configured Service, Same Parameter?, Configured Service, Other Service, Collect Configured Service,
        Configured Service Found?, Use Configured Service, Begin Migration Check, Check Migrations, Migrations Ended?`,
    },
  },
  {
    name: 'saved states that cannot be used',
    input: { mode: 'start-services' },
    prepare: async (world) => {
      await killedEarlier(world);
      const restore = world.savedStates.map(([name, parameter]) => {
        const { Value } = parameter;
        if (name.endsWith('/worker')) Object.assign(parameter, { Value: '{}' });
        if (name.endsWith('/nightly')) {
          Object.assign(parameter, { Value: Value.replace('"kind":"event-rule"', '"kind":"other"') });
        }
        return () => Object.assign(parameter, { Value });
      });
      return {
        remove: async () => {
          for (const one of restore) one();
        },
      };
    },
    killedIn: {
      'start-services': `
        Saved State Unreadable, Service Failed, Unknown Kind, Record Incidents, Record Incident, Incident Recorded,
        Enable Reconciler`,
    },
  },
  {
    name: 'starting services that run',
    input: { mode: 'start-services' },
    killedIn: { 'start-services': 'Nothing Saved' },
  },
];
