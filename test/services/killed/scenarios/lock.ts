import { DEPLOY } from '../../../../lib/workflow/state-names.ts';
import { connect } from '../../../support/database.ts';
import { waitUntil } from '../../../support/waits.ts';
import type { Scenario } from '../kill-in-each-state.ts';
import { LOCK } from '../world.ts';

/** What a deploy finds where it expects the lock of the deploys. */
export const LOCKS: readonly Scenario[] = [
  {
    name: 'a lock that is no lock',
    prepare: async (world) => ({ remove: await world.writeLock({}) }),
    killedIn: { deploy: 'Lock Unreadable, Lock Failed' },
  },
  {
    name: 'a lock of an execution that does not exist',
    prepare: async (world) => ({
      remove: await world.writeLock({ execution: world.deployArn('deleted'), version: 1 }, 1),
    }),
    killedIn: { deploy: 'Lock Holder Unknown, Wait For Lock, Count Lock Check' },
  },
  {
    name: 'late writes to the lock',
    prepare: async (world) => {
      const late = async () => await world.writeLock({ execution: world.deployArn('late'), version: 1 });
      await world.writeLock({ execution: '', version: 1 }, 1);
      return {
        remove: await late(),
        onState: (state) => {
          if (state === DEPLOY.report) void late();
        },
      };
    },
    killedIn: { deploy: 'Read Lock Before, Read Lock To Release Before' },
  },
  {
    name: 'a lock that another deploy holds',
    prepare: async (world) => {
      const writer = await connect(world.database.url);
      await writer.query('begin');
      await writer.query("insert into people values (9, 'writer')");
      const { execution, ended } = world.workflow.start({ mode: 'indexes' });
      await waitUntil(
        'the lock of the other deploy',
        async () => world.aws.ssm.parameters[LOCK]?.Value.includes(execution.arn) === true,
      );
      return {
        remove: async () => {
          await writer.query('rollback');
          await writer.end();
          await ended;
        },
      };
    },
    killedIn: { deploy: 'Lock Held By Other' },
  },
];
