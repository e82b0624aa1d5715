import { MIGRATION_LOCK } from '../../../../lambdas/postgres/advisory-lock.ts';
import { BUILD_INDEXES, MIGRATIONS, MIGRATIONS_END, WINDOW } from '../../../../lib/workflow/state-names.ts';
import { connect } from '../../../support/database.ts';
import type { Scenario } from '../kill-in-each-state.ts';

/** Builds that fail or wait. */
export const BUILDS: readonly Scenario[] = [
  {
    name: 'a critical index that fails',
    prepare: async ({ database }) => {
      await database.query("insert into people values (1, 'a'), (2, 'a')");
      return { remove: async () => await database.query('delete from people') };
    },
    killedIn: {
      deploy: 'Record Left Stopped, Save Left Stopped Marker, Alert, Failed',
      'build-indexes': 'Settle Index, Index Settled',
      'maintenance-window': 'Critical Index Failed',
    },
  },
  {
    name: 'a failure that the ledger refuses',
    prepare: async (world) => {
      await world.firstDeploy();
      await world.database.query(`
        insert into people values (1, 'a'), (2, 'a');
        create function refuse() returns trigger language plpgsql as $$ begin raise exception 'refused'; end $$;
        create trigger refuse before insert or update on deploy_step.index_builds
          for each row when (new.status = 'failed') execute function refuse();
      `);
      return {
        remove: async () =>
          await world.database.query('delete from people; drop function if exists refuse cascade'),
      };
    },
    killedIn: { 'build-indexes': 'Index Not Settled' },
  },
  {
    name: 'a build that waits for a transaction',
    prepare: async ({ database }) => {
      const writer = await connect(database.url);
      await writer.query('begin');
      await writer.query("insert into people values (9, 'writer')");
      let released: Promise<void> | undefined;
      const release = () => {
        released ??= writer.query('rollback').then(async () => await writer.end());
        return released;
      };
      return {
        onState: (state) => {
          if (state === BUILD_INDEXES.indexValid) void release();
        },
        remove: release,
      };
    },
    killedIn: { 'build-indexes': 'Wait For Build, Check Index, Index Valid?' },
  },
  { name: 'building while the services run', input: { mode: 'indexes' }, killedIn: {} },
];

/** Migrations that fail, and what keeps a deploy from running them. */
export const MIGRATING: readonly Scenario[] = [
  {
    name: 'a migration that fails',
    prepare: async ({ database }) => {
      await database.query("insert into switches values ('fail')");
      return { remove: async () => await database.query('delete from switches') };
    },
    killedIn: { 'maintenance-window': 'Migration Failed' },
  },
  {
    name: 'sessions that stay open',
    prepare: async ({ database }) => {
      const cron = await connect(database.url, 'cron');
      return { remove: async () => await cron.end() };
    },
    killedIn: { 'maintenance-window': 'Wait For Sessions, Count Session Check, Sessions Remain' },
  },
  {
    name: 'a migration history that cannot be read',
    prepare: async (world) => {
      await world.firstDeploy();
      const { database } = world;
      let last: Promise<unknown> = Promise.resolve();
      return {
        onState: (state) => {
          // Right after the preflight, which reads the history.
          if (state === WINDOW.checkServices)
            last = last.then(() => database.query('alter table pgmigrations rename column run_on to ran_on'));
        },
        remove: async () => {
          await last;
          await database.query(`do $$ begin
            alter table pgmigrations rename column ran_on to run_on;
          exception when undefined_column then null; end $$`);
        },
      };
    },
    killedIn: {
      'maintenance-window':
        'Record Migration Error, Begin Migration Check, Check Migrations, Migrations Ended?',
    },
  },
  {
    name: 'a maintenance window that is aborted while another session migrates',
    prepare: async (world) => {
      const migrating = await connect(world.database.url);
      let last: Promise<unknown> = Promise.resolve();
      return {
        onState: (state) => {
          // After the preflight, which refuses a deploy while another session migrates.
          if (state === WINDOW.checkServices)
            last = last.then(() => migrating.query('select pg_advisory_lock($1::bigint)', [MIGRATION_LOCK]));
          if (state === MIGRATIONS.run) world.stopWindow();
          if (state === MIGRATIONS_END.lock.count)
            last = last.then(() => migrating.query('select pg_advisory_unlock_all()'));
        },
        remove: async () => {
          // A session that ends during a query would reject it.
          await last;
          await migrating.end();
        },
      };
    },
    killedIn: { 'start-services': 'Wait For Migrations, Count Migration Check' },
  },
];
