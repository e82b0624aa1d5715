import { z } from 'zod';
import { MODES } from './execution-input.ts';
import { migrationFailureSchema, migrationRunnerSchema } from './migration-runner.ts';
import { indexStatusSchema, reportSchema } from './report-schema.ts';

/*
 * Everything that passes between the states of the four machines. The definitions in lib/workflow read these fields by
 * path and the functions check them here, so both sides change together.
 */

/** The Step Functions execution that invokes a function. */
export const executionSchema = z.object({
  id: z.string(),
  name: z.string(),
  /** ISO 8601. */
  startedAt: z.string(),
});
export type Execution = z.infer<typeof executionSchema>;

/** What Step Functions puts where a Catch says: nobody parses `Cause` to decide, it is only shown. */
export const caughtErrorSchema = z.object({ Error: z.string(), Cause: z.string().nullish() });
export type CaughtError = z.infer<typeof caughtErrorSchema>;

// Preflight

export const preflightEventSchema = z.object({
  execution: executionSchema,
  /** The execution's input as it came: anything. */
  input: z.unknown(),
});
export type PreflightEvent = z.infer<typeof preflightEventSchema>;

export const DECISIONS = ['deploy', 'indexes', 'start-services', 'plan', 'nothing', 'refused'] as const;

export const preflightResultSchema = z.object({
  deploy: z.string(),
  startedAt: z.string(),
  mode: z.enum(MODES),
  decision: z.enum(DECISIONS),
  /** Why it is refused, with the remedy. Null: it is not. */
  refusal: z.string().nullable(),
  /** Names asked for; empty: all of the registry. */
  indexes: z.array(z.string()),
});
export type PreflightResult = z.infer<typeof preflightResultSchema>;

// Run Migrations

export const runMigrationsEventSchema = z.object({ deploy: z.string() });
export type RunMigrationsEvent = z.infer<typeof runMigrationsEventSchema>;

export const runMigrationsResultSchema = z.object({
  status: z.enum(['applied', 'failed']),
  applied: z.array(z.string()),
  pending: z.array(z.string()),
  failure: migrationFailureSchema.nullable(),
});
export type RunMigrationsResult = z.infer<typeof runMigrationsResultSchema>;

/** What the window says of the migrations, whoever ran them. */
export const windowMigrationsSchema = z.object({
  status: z.enum(['applied', 'failed']),
  runner: migrationRunnerSchema,
  /** What Run Migrations answered; of a task or of a function of the user's own: whatever it answered. */
  answer: z.unknown().optional(),
  /** What Run Migrations failed with. */
  caught: caughtErrorSchema.optional(),
});
export type WindowMigrations = z.infer<typeof windowMigrationsSchema>;

// Plan

export const BUILD_SCOPES = ['all', 'critical'] as const;
export type BuildScope = (typeof BUILD_SCOPES)[number];

export const planBuildsEventSchema = z.object({
  /** Name of the build-indexes execution; it is the deploy's name where a person started it. */
  execution: z.string(),
  /** The input of build-indexes: from the parent, or from a person in the console. */
  request: z.object({
    deploy: z.string().optional(),
    indexes: z.array(z.string()).optional(),
    scope: z.enum(BUILD_SCOPES).optional(),
    /** When the services were stopped, ISO 8601: inside a maintenance window. */
    windowStartedAt: z.string().optional(),
  }),
});
export type PlanBuildsEvent = z.infer<typeof planBuildsEventSchema>;

export const laneSchema = z.object({
  /** schema.table, for people. */
  table: z.string(),
  /** Names of the registry, in the order in which they are built: one at a time. */
  indexes: z.array(z.string()),
});
export type Lane = z.infer<typeof laneSchema>;

export const planBuildsResultSchema = z.object({
  deploy: z.string(),
  /** `build`: the lanes are this round's work. `done`: nothing is left to try. */
  decision: z.enum(['build', 'done']),
  lanes: z.array(laneSchema),
  /** ISO 8601: until then non-critical indexes are built here. Null: as long as they take. */
  until: z.string().nullable(),
  /** How many of the asked-for indexes are as they should be. */
  present: z.int(),
  /** How many of the asked-for indexes are not there and were given up. */
  failed: z.object({ critical: z.int(), nonCritical: z.int() }),
});
export type PlanBuildsResult = z.infer<typeof planBuildsResultSchema>;

// Build Index, Check Index, Settle Index

export const buildIndexEventSchema = z.object({
  deploy: z.string(),
  index: z.string(),
  /** ISO 8601: a non-critical index is left for afterwards from then on. Null: it is waited for. */
  until: z.string().nullable().default(null),
});
export type BuildIndexEvent = z.input<typeof buildIndexEventSchema>;

/**
 * `done`: look no further. `building`: look again after `waitSeconds`. `interrupted`: build again. `left`: the window is
 * used up, so the index is left for after the start; a build that runs goes on.
 */
export const buildIndexResultSchema = z.object({
  state: z.enum(['done', 'building', 'interrupted', 'left']),
  status: indexStatusSchema,
  waitSeconds: z.int().min(1),
});
export type BuildIndexResult = z.infer<typeof buildIndexResultSchema>;

export const settleIndexEventSchema = buildIndexEventSchema.extend({ error: caughtErrorSchema });
export type SettleIndexEvent = z.input<typeof settleIndexEventSchema>;

// Check Sessions

export const checkSessionsResultSchema = z.object({
  remaining: z.int(),
  /** The sessions, for people; empty: none. */
  sessions: z.string(),
});
export type CheckSessionsResult = z.infer<typeof checkSessionsResultSchema>;

// What the children of `deploy` end with

export const WINDOW_VERDICTS = [
  'ok',
  'services-refused',
  'services-not-stopped',
  'sessions-remain',
  'migration-failed',
  'critical-failed',
] as const;

/** What is found of a service before any of them is stopped. */
export const checkedServiceSchema = z.object({
  name: z.string(),
  usable: z.boolean(),
  /** Why it cannot be stopped. Null: it can. */
  reason: z.string().nullable(),
});

export const stoppedServiceSchema = z.object({
  name: z.string(),
  outcome: z.enum(['stopped', 'not-stopped']),
  stoppedAt: z.string().nullable(),
});

export const startedServiceSchema = z.object({
  name: z.string(),
  outcome: z.enum(['started', 'not-steady', 'nothing-remembered', 'left-to-its-deploy']),
  startedAt: z.string().nullable(),
  /** When it was stopped, as remembered beside its count. */
  stoppedAt: z.string().nullable(),
});

export const windowOutputSchema = z.object({
  verdict: z.enum(WINDOW_VERDICTS),
  /** What is to become of the services; `untouched`: none was stopped. */
  services: z.enum(['start', 'leave-stopped', 'untouched']),
  checked: z.array(checkedServiceSchema),
  /** Sessions that stayed although the services are stopped, for people. Null: none. */
  sessions: z.string().nullable(),
  stopped: z.array(stoppedServiceSchema),
  migrations: windowMigrationsSchema.nullable(),
});

export const startOutputSchema = z.object({ services: z.array(startedServiceSchema) });

// Report

/** All that `deploy` has gathered when it comes to its report; whatever was not reached is absent. */
export const reportStateSchema = z.object({
  deploy: z.string().optional(),
  mode: z.enum(MODES).optional(),
  decision: z.enum(DECISIONS).optional(),
  refusal: z.string().nullable().optional(),
  indexes: z.array(z.string()).optional(),
  preflightFailure: caughtErrorSchema.optional(),
  window: z.object({ output: windowOutputSchema }).optional(),
  windowFailure: caughtErrorSchema.optional(),
  start: z.object({ output: startOutputSchema }).optional(),
  startFailure: caughtErrorSchema.optional(),
  buildsFailure: caughtErrorSchema.optional(),
});
export type ReportState = z.infer<typeof reportStateSchema>;

export const reportEventSchema = z.object({ execution: executionSchema, state: reportStateSchema });
export type ReportEvent = z.infer<typeof reportEventSchema>;

export const reportResultSchema = z.object({
  report: reportSchema,
  status: z.enum(['succeeded', 'failed']),
  /** The cause that the execution fails with; empty: it succeeded. */
  failure: z.string(),
  alert: z.object({ needed: z.boolean(), subject: z.string(), message: z.string() }),
});
export type ReportResult = z.infer<typeof reportResultSchema>;
