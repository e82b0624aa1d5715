import type { Scenario } from '../kill-in-each-state.ts';

/** Deploys of an environment with `"window": "when-needed"` and a migration that is marked as online. */
export const WITHOUT_WINDOW: readonly Scenario[] = [
  {
    name: 'a deploy that stops nothing',
    killedIn: {
      deploy: 'Apply Online Migrations, Online Migrations Applied?, Start Services After Builds?',
    },
  },
  {
    name: 'a migration that fails while the services run',
    prepare: async ({ database }) => {
      await database.query("insert into switches values ('fail')");
      return { remove: async () => await database.query('delete from switches') };
    },
    killedIn: {},
  },
];
