import { migrationFailureSchema, migrationRunnerSchema } from './migration-runner.ts';
import { MODES } from './modes.ts';
import { caughtErrorSchema, executionSchema } from './preflight-payloads.ts';
import {
  DECISIONS,
  pendingMigrationsSchema,
  plannedSchema,
  requestedRevisionSchema,
} from './preflight-result.ts';
import { unrecordedFailureSchema } from './unrecorded-failure.ts';
import * as z from './zod.ts';

/*
 * The payloads between the states of the four state machines. The definitions in lib/workflow read these fields by path, and
 * the functions check them with these schemas: change both together. Those of Preflight are in preflight-payloads.ts
 * and preflight-result.ts, those of `build-indexes` in build-payloads.ts, and what Report
 * returns is in report-result.ts: a bundle contains all schemas of a file.
 */

// Run Migrations

/** The migrations of an environment that were requested until a time: ISO 8601, by the clock of Step Functions. */
const requestedMigrationsSchema = z.object({ environment: z.string(), at: z.string() });
export type RequestedMigrations = z.infer<typeof requestedMigrationsSchema>;

export const runMigrationsEventSchema = z.object({
  /** Name of the deploy. Its migrations are recorded with it. */
  deploy: z.string(),
  /** Retries of the state so far, for any error. */
  retryCount: z._default(z.int().check(z.minimum(0)), 0),
  /** `all`: all pending files, in one transaction. `online`: those that are marked so, before the first one that is not. */
  scope: z._default(z.enum(['all', 'online']), 'all'),
  requested: requestedMigrationsSchema,
});

export const runMigrationsResultSchema = z.object({
  /** `more`, only in the scope `online`: call the function again for the other files. */
  status: z.enum(['applied', 'failed', 'more']),
  /** Names of the migrations that this deploy applied, in this attempt or an earlier one. */
  applied: z.array(z.string()),
  pending: z.array(z.string()),
  failure: z.nullable(migrationFailureSchema),
});
export type RunMigrationsResult = z.infer<typeof runMigrationsResultSchema>;

// Check Migrations

export const checkMigrationsEventSchema = z.object({
  /** The migrations that must not begin any more. Absent: those of a function of the application, which knows nothing of it. */
  end: z.optional(requestedMigrationsSchema),
});
export type CheckMigrationsEvent = z.infer<typeof checkMigrationsEventSchema>;

const checkMigrationsResultSchema = z.object({
  running: z.boolean(),
  /** The session that holds the lock, for messages. Empty: no session does. */
  by: z.string(),
});
export type CheckMigrationsResult = z.infer<typeof checkMigrationsResultSchema>;

/** The migrations in the output of the maintenance window. */
export const windowMigrationsSchema = z.object({
  status: z.enum(['applied', 'failed']),
  runner: migrationRunnerSchema,
  /** The result of Run Migrations, or any result of the user's own ECS task or function. */
  answer: z.optional(z.unknown()),
  /** The error of Run Migrations. */
  caught: z.optional(caughtErrorSchema),
  /** What still ran when the deadline for its end had passed. Absent: nothing. */
  stillRunning: z.optional(z.string()),
});
export type WindowMigrations = z.infer<typeof windowMigrationsSchema>;

// Check Sessions

const checkSessionsResultSchema = z.object({
  remaining: z.int(),
  /** The sessions, for messages. Empty: none. */
  sessions: z.string(),
});
export type CheckSessionsResult = z.infer<typeof checkSessionsResultSchema>;

// The outputs of the child executions of `deploy`

export const WINDOW_VERDICTS = [
  'rehearsed',
  'ok',
  'services-refused',
  'services-not-stopped',
  'services-started-by-others',
  'sessions-remain',
  'migration-failed',
  'critical-failed',
] as const;

/** The result of the check of a service before any service is stopped. */
const checkedServiceSchema = z.object({
  name: z.string(),
  usable: z.boolean(),
  /** Why the service cannot be stopped. Null: it can, or it could not be read. */
  reason: z.nullable(z.string()),
  /** Only in a plan: a deploy waits until the service can be stopped. */
  waits: z.optional(z.boolean()),
  /** Why the service could not be read. */
  error: z.optional(caughtErrorSchema),
  /** What the check of an ECS service has found. Absent: it cannot be stopped. */
  current: z.optional(
    z.object({
      desiredCount: z.optional(z.int()),
      /** The ARN of its revision. Absent: another kind, or an execution of earlier versions. */
      taskDefinition: z.optional(z.array(z.string())),
      /** The suspended state of its scaling. */
      scaling: z.optional(z.nullable(z.unknown())),
    }),
  ),
});
export type CheckedService = z.infer<typeof checkedServiceSchema>;

/** A count of a service. The workflow sends a list, which is empty if the service was deleted, and its earlier versions a number. */
const countSchema = z.union([
  z.int(),
  z.pipe(
    z.array(z.int()),
    z.transform(([count = 0]) => count),
  ),
]);

const stoppedServiceSchema = z.object({
  name: z.string(),
  outcome: z.enum(['stopped', 'not-stopped', 'started-by-others', 'failed']),
  stoppedAt: z.nullable(z.string()),
  /** Of the last check of an ECS service. Absent in executions of earlier versions. */
  counts: z.optional(z.object({ desired: countSchema, running: countSchema, pending: countSchema })),
  /** The distinct last statuses of the tasks of an ECS service at the last check. */
  stopping: z.optional(z.object({ statuses: z.array(z.string()) })),
  /** Why it could not be stopped, with the outcome `failed`. */
  error: z._default(z.nullable(caughtErrorSchema), null),
});
export type StoppedService = z.infer<typeof stoppedServiceSchema>;

const startedServiceSchema = z.object({
  name: z.string(),
  outcome: z.enum(['started', 'not-steady', 'failed', 'nothing-saved', 'deploy-running']),
  startedAt: z.nullable(z.string()),
  /** When it was stopped, from its saved state. */
  stoppedAt: z.nullable(z.string()),
  /** The desired count that someone else had set while it was held. Absent in executions of earlier versions. */
  raisedTo: z._default(z.nullable(z.int()), null),
  /** The revision of an ECS service. Absent: no state was saved, or in executions of earlier versions. */
  revision: z.optional(
    z.object({
      /** The ARN of the revision before the stop. Empty: unknown. */
      from: z.array(z.string()),
      /** The ARN of the revision that the deploy named. Empty: none. */
      requested: z.array(z.string()),
      /** The ARN of the revision of the running tasks. Empty: unknown. */
      to: z.array(z.string()),
      /** The ARN of the revision that the start has to set. Null: none, because that deploy named none, or failed. */
      wanted: z.nullable(z.string()),
      /** Why it could not be set. */
      error: z.nullable(caughtErrorSchema),
    }),
  ),
  /** Why it could not be started, with the outcome `failed`. */
  error: z._default(z.nullable(caughtErrorSchema), null),
});

const windowOutputSchema = z.object({
  verdict: z.enum(WINDOW_VERDICTS),
  /** What to do with the services. `untouched`: none was stopped. */
  services: z.enum(['start', 'leave-stopped', 'untouched']),
  checked: z.array(checkedServiceSchema),
  /** Sessions that stayed connected after the services were stopped, for messages. Null: none. */
  sessions: z.nullable(z.string()),
  stopped: z.array(stoppedServiceSchema),
  /** Services whose desired count was above 0 after they had stopped, and these counts. Absent in executions of earlier versions. */
  raised: z.optional(z.object({ names: z.array(z.string()), counts: z.array(z.int()) })),
  migrations: z.nullable(windowMigrationsSchema),
  unrecordedFailures: z._default(z.array(unrecordedFailureSchema), []),
  /** Only in a plan: the names of the parameters with saved states. */
  saved: z.optional(z.array(z.string())),
  /** Only in a plan: the text of the marker of services that are left stopped or held. Empty: there is none. */
  marker: z.optional(z.string()),
});

/** The last plan of `build-indexes`. */
const buildsOutputSchema = z.object({
  failed: z._default(z.object({ critical: z.int(), nonCritical: z.int() }), { critical: 0, nonCritical: 0 }),
  unrecordedFailures: z._default(z.array(unrecordedFailureSchema), []),
});

/** Services that got other revisions without a stop. */
const updateOutputSchema = z.object({
  checked: z.array(checkedServiceSchema),
  /** Absent: a service was refused, so none was changed. */
  updated: z.optional(
    z.array(
      z.object({
        name: z.string(),
        outcome: z.enum(['updated', 'not-steady', 'failed', 'unchanged']),
        /** ARNs. Absent: the input names no revision for it. */
        revision: z.optional(z.object({ from: z.array(z.string()), to: z.array(z.string()) })),
        error: z.optional(z.nullable(caughtErrorSchema)),
      }),
    ),
  ),
});

const startOutputSchema = z.object({
  services: z.array(startedServiceSchema),
  /** The text of the marker before the start. Empty: none. Absent in executions of earlier versions. */
  marker: z.optional(z.string()),
});

/** The hold that this deploy has begun. It is the text of the marker, too: see lib/workflow/hold-services.ts. */
const holdingSchema = z.object({
  /** ISO 8601. */
  since: z.string(),
  hold: z.object({ minutes: z.number() }),
});

// Report

/** The results of all states of `deploy` before the report. Those of states that were not reached are absent. */
const reportStateSchema = z.object({
  deploy: z.optional(z.string()),
  mode: z.optional(z.enum(MODES)),
  decision: z.optional(z.enum(DECISIONS)),
  refusal: z.optional(z.nullable(z.string())),
  indexes: z.optional(z.array(z.string())),
  /** The input asks for a hold. */
  hold: z.optional(z.boolean()),
  holding: z.optional(holdingSchema),
  /** The revisions that the input names. */
  taskDefinitions: z.optional(z.array(requestedRevisionSchema)),
  completedFailure: z.optional(caughtErrorSchema),
  update: z.optional(z.object({ output: updateOutputSchema })),
  updateFailure: z.optional(caughtErrorSchema),
  holdFailure: z.optional(caughtErrorSchema),
  /** Names of the parameters with saved states, if a deploy that has nothing to do looks for services to hold. */
  listed: z.optional(z.object({ names: z.array(z.string()) })),
  listFailure: z.optional(caughtErrorSchema),
  /** Of the preflight. */
  warnings: z.optional(z.array(z.string())),
  notThereYet: z.optional(z.array(z.string())),
  pendingMigrations: z.optional(pendingMigrationsSchema),
  planned: z.optional(plannedSchema),
  preflightFailure: z.optional(caughtErrorSchema),
  /** Of the files that are applied before anything is stopped. Its status is `more` if their state was left by an error. */
  onlineMigrations: z.optional(
    z.object({
      output: z.object({ status: runMigrationsResultSchema.shape.status, answer: runMigrationsResultSchema }),
    }),
  ),
  onlineFailure: z.optional(caughtErrorSchema),
  window: z.optional(z.object({ output: windowOutputSchema })),
  windowFailure: z.optional(caughtErrorSchema),
  start: z.optional(z.object({ output: startOutputSchema })),
  startFailure: z.optional(caughtErrorSchema),
  builds: z.optional(z.object({ output: buildsOutputSchema })),
  buildsFailure: z.optional(caughtErrorSchema),
});
export type ReportState = z.infer<typeof reportStateSchema>;

export const reportEventSchema = z.object({ execution: executionSchema, state: reportStateSchema });
export type ReportEvent = z.infer<typeof reportEventSchema>;
