import { databaseVariables, hasDatabase, hasDatabaseMessage, jsonList } from './database-variables.ts';
import { MIGRATION_RUNNERS } from './migration-runner.ts';
import { WINDOW_POLICIES } from './online-migrations.ts';
import * as z from './zod.ts';

/** In a file of its own, because a bundle contains all schemas of a file: see preflight-payloads.ts. */
export const preflightVariablesSchema = z
  .object({
    ...databaseVariables,
    MIGRATIONS: z.enum(MIGRATION_RUNNERS),
    /** The state machine whose running executions are checked. */
    DEPLOY_MACHINE_ARN: z.string(),
    /** How a person aborts a running deploy, for a message. */
    HOW_TO_ABORT: z._default(z.string(), 'abort it in the Step Functions console'),
    WINDOW: z.enum(WINDOW_POLICIES),
    /** Database roles of the application. Unset: none. */
    DRAIN_ROLES: z.optional(jsonList),
  })
  .check(z.refine(hasDatabase, hasDatabaseMessage));
