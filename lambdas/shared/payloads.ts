import { MAX_INDEXES, MODES } from './execution-input.ts';
import { indexStatusSchema } from './index-status.ts';
import { migrationFailureSchema, migrationRunnerSchema } from './migration-runner.ts';
import { caughtErrorSchema, executionSchema } from './preflight-payloads.ts';
import { DECISIONS, pendingMigrationsSchema, plannedSchema } from './preflight-result.ts';
import * as z from './zod.ts';

/*
 * The payloads between the states of the four state machines. The definitions in lib/workflow read these fields by path, and
 * the functions check them with these schemas: change both together. Those of Preflight are in preflight-payloads.ts
 * and preflight-result.ts, and what Report returns is in report-result.ts: a bundle contains all schemas of a file.
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

// Plan

/** Characters of the name of an execution. */
const MAX_EXECUTION_NAME = 80;

/** A failure that could not be written to the ledger. The state carries it until the report. */
const unrecordedFailureSchema = z.object({
  /** The item: see build-item.ts. */
  index: z.string(),
  sqlstate: z.nullable(z.string()),
  /** Shortened, because the state carries it. */
  message: z.string(),
});
export type UnrecordedFailure = z.infer<typeof unrecordedFailureSchema>;

/**
 * An item that Settle Index was invoked for. The states carry only the names of errors: the causes of a round can be larger
 * than a state.
 */
const settledIndexSchema = z.object({
  /** The item: see build-item.ts. */
  index: z.string(),
  /** Name of the error after which no further attempt was made. */
  error: z.string(),
  /** Name of the error of Settle Index itself. Absent: it succeeded. */
  settleError: z.optional(z.string()),
});
export type SettledIndex = z.infer<typeof settledIndexSchema>;

const BUILD_SCOPES = ['all', 'critical'] as const;
export type BuildScope = (typeof BUILD_SCOPES)[number];

export const planBuildsEventSchema = z.object({
  /** Name of the build-indexes execution. It is the name of the deploy if a user started it. */
  execution: z.string(),
  /** The input of build-indexes, from the parent execution or from a user. */
  request: z.object({
    deploy: z.optional(z.string().check(z.maxLength(MAX_EXECUTION_NAME))),
    indexes: z.optional(z.array(z.string()).check(z.maxLength(MAX_INDEXES))),
    scope: z.optional(z.enum(BUILD_SCOPES)),
    /** When the services were stopped, ISO 8601. Absent: outside of a maintenance window. */
    windowStartedAt: z.optional(z.string()),
    /** Of earlier rounds, which were other executions. */
    unrecordedFailures: z.optional(z.array(unrecordedFailureSchema)),
    /** Of earlier rounds, which were other executions. */
    failedBatches: z.optional(z.array(z.string())),
  }),
  /** Of earlier rounds in this execution. */
  unrecordedFailures: z._default(z.array(unrecordedFailureSchema), []),
  /** Of all earlier rounds. Absent in the first plan of an execution. */
  failedBatches: z.optional(z.array(z.string())),
  /** Of the round before this plan. */
  settled: z._default(z.array(settledIndexSchema), []),
  /** Names of the errors of Build Batch in the round before this plan. */
  batchErrors: z._default(z.array(z.string()), []),
});
export type PlanBuildsEvent = z.input<typeof planBuildsEventSchema>;

const laneSchema = z.object({
  /** SCHEMA.TABLE, for messages. */
  table: z.string(),
  /** Items, in the order in which they are built, one at a time: see build-item.ts. */
  indexes: z.array(z.string()),
});
export type Lane = z.infer<typeof laneSchema>;

/**
 * One part of the small builds of a round: those on the tables whose hash belongs to the part. Their names are not in the
 * state, because there can be 100,000 of them.
 */
const batchSchema = z.object({
  /** From 0 to `of` - 1. */
  part: z.int().check(z.minimum(0)),
  /** Number of parts. */
  of: z.int().check(z.minimum(1)),
  /** Number of builds that were planned for this part, for the display. */
  builds: z.int().check(z.minimum(0)),
});
export type Batch = z.infer<typeof batchSchema>;

export const planBuildsResultSchema = z.object({
  deploy: z.string(),
  /** `build`: build the lanes of this round. `done`: no build is left. */
  decision: z.enum(['build', 'done']),
  lanes: z.array(laneSchema),
  /** Parts of the builds that are small and many, which Build Batch builds before the lanes. Empty: this round has none. */
  batches: z._default(z.array(batchSchema), []),
  /** When the window ends, ISO 8601: non-critical indexes are built until then. Null: until they are built. */
  until: z.nullable(z.string()),
  /** Number of requested indexes that need no build. */
  present: z.int(),
  /** Number of requested indexes that failed. */
  failed: z.object({ critical: z.int(), nonCritical: z.int() }),
  /** Failures that could not be written to the ledger. They are included in `failed`. */
  unrecordedFailures: z.array(unrecordedFailureSchema),
  /** One name of an error for each round so far in which a batch failed. */
  failedBatches: z._default(z.array(z.string()), []),
});
export type PlanBuildsResult = z.infer<typeof planBuildsResultSchema>;

// Build Index, Check Index, Settle Index

export const buildIndexEventSchema = z.object({
  deploy: z.string(),
  index: z.string(),
  /** When the window ends, ISO 8601: the build of a non-critical index is postponed then. Null: no limit. */
  until: z._default(z.nullable(z.string()), null),
});
export type BuildIndexEvent = z.input<typeof buildIndexEventSchema>;

/**
 * - `done`: no further check is needed;
 * - `building`: check again after `waitSeconds`;
 * - `interrupted`: build again;
 * - `left`: the window has ended, so the build is postponed until the services are started. A running build continues.
 */
export const buildIndexResultSchema = z.object({
  state: z.enum(['done', 'building', 'interrupted', 'left']),
  status: indexStatusSchema,
  waitSeconds: z.int().check(z.minimum(1)),
});
export type BuildIndexResult = z.infer<typeof buildIndexResultSchema>;

export const settleIndexEventSchema = z.object({ ...buildIndexEventSchema.shape, error: caughtErrorSchema });
export type SettleIndexEvent = z.input<typeof settleIndexEventSchema>;

// Build Batch

export const buildBatchEventSchema = z.object({
  deploy: z.string(),
  batch: batchSchema,
  /** When the window ends, ISO 8601: non-critical builds are left then. Null: no limit. */
  until: z._default(z.nullable(z.string()), null),
  /** The input of build-indexes, so that the batch plans the same builds. */
  request: z._default(
    z.object({
      indexes: planBuildsEventSchema.shape.request.shape.indexes,
      scope: planBuildsEventSchema.shape.request.shape.scope,
    }),
    {},
  ),
});
export type BuildBatchEvent = z.input<typeof buildBatchEventSchema>;

/** What happened to the builds of a batch. Their names are in the ledger. */
export const buildBatchResultSchema = z.object({
  part: z.int(),
  of: z.int(),
  built: z.int(),
  failed: z.int(),
  /** Builds that a lane of a later round tries again, with all of its retries. */
  left: z.int(),
});
export type BuildBatchResult = z.infer<typeof buildBatchResultSchema>;

/** Message of the lines of the log about the progress of a batch, from which a run on your machine shows it. */
export const BATCH_CONTINUES = 'The batch continues.';

/** The fields of such a line. */
export const batchProgressSchema = z.object({
  message: z.literal(BATCH_CONTINUES),
  part: z.int(),
  of: z.int(),
  /** Builds that the batch has planned. */
  builds: z.int(),
  built: z.int(),
  failed: z.int(),
});

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
  /** What the check has found. An ECS service has a desired count, and the suspended state of its scaling. */
  current: z.optional(
    z.object({ desiredCount: z.optional(z.int()), scaling: z.optional(z.nullable(z.unknown())) }),
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
