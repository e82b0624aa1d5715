import { databaseVariables, hasDatabase, hasDatabaseMessage, jsonList } from './database-variables.ts';
import { MIGRATION_RUNNERS } from './migration-runner.ts';
import { WINDOW_POLICIES } from './online-migrations.ts';
import * as z from './zod.ts';

/*
 * The variables of each function (its process environment). `lib/functions` sets them with the type of the schema, so that a
 * missing variable is a compile error, and the function checks them with the schema when it starts.
 */

const seconds = z.coerce.number().check(z.int(), z.minimum(0));

export const sessionsVariablesSchema = z
  .object({ ...databaseVariables, DRAIN_ROLES: jsonList, DRAIN_APPLICATION_NAMES: jsonList })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const migrationsVariablesSchema = z
  .object({
    ...databaseVariables,
    LOCK_TIMEOUT_SECONDS: seconds,
    MIGRATION_ATTEMPTS: z.coerce.number().check(z.int(), z.minimum(1)),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const checkMigrationsVariablesSchema = z
  .object({
    ...databaseVariables,
    /** Key of the advisory lock that the application's function holds while it migrates. Unset: that of node-pg-migrate. */
    MIGRATION_LOCK: z.optional(z.string()),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

const retiredVariables = {
  /** How long no query must have scanned a retired index before it is dropped. */
  RETIRED_AFTER_DAYS: z.coerce.number().check(z.minimum(0)),
};

export const planVariablesSchema = z
  .object({
    ...databaseVariables,
    BUILDS_PER_ROUND: z.coerce.number().check(z.int(), z.minimum(1)),
    /** Batches at the same time. */
    MAX_CONCURRENT: z.coerce.number().check(z.int(), z.minimum(1)),
    ...retiredVariables,
    /** Unset: the window lasts until its builds end. */
    WINDOW_MINUTES: z.optional(z.coerce.number().check(z.positive())),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

const lockVariables = {
  LOCK_TIMEOUT_SECONDS: seconds,
  /** Unset: no session is terminated. */
  TERMINATE_IDLE_IN_TRANSACTION_SECONDS: z.optional(seconds),
};

export const checkVariablesSchema = z
  .object({ ...databaseVariables, ...lockVariables })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const buildVariablesSchema = z
  .object({
    ...databaseVariables,
    ...lockVariables,
    ...retiredVariables,
    BUILD_WAIT_SECONDS: seconds,
    LONG_WAIT_SECONDS: seconds,
    BUILD_ATTEMPTS: z.coerce.number().check(z.int(), z.minimum(1)),
    /** How long a batch begins further builds. */
    BATCH_SECONDS: seconds,
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));

export const reportVariablesSchema = z
  .object({
    ...databaseVariables,
    MIGRATIONS: z.enum(MIGRATION_RUNNERS),
    WINDOW: z.enum(WINDOW_POLICIES),
    ENVIRONMENT_NAME: z.string(),
    /** Names of the configured services, comma-separated; empty: none. */
    SERVICES: z.pipe(
      z.string(),
      z.transform((names) => names.split(',').filter((name) => name !== '')),
    ),
    START_SERVICES_MACHINE: z.string(),
    BUILD_INDEXES_MACHINE: z.string(),
    /** File for the report with all of its indexes. Only a run on your machine sets it. @default it is not saved */
    WHOLE_REPORT_FILE: z.optional(z.string()),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));
