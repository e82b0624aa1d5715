import { MODES } from './execution-input.ts';
import * as z from './zod.ts';

/*
 * The payloads of Preflight. They have a file of their own, because a bundle contains all schemas of a file, and the bundle of
 * preflight is the largest. The others are in payloads.ts.
 */

/** The Step Functions execution that invokes a function. */
export const executionSchema = z.object({
  id: z.string(),
  name: z.string(),
  /** ISO 8601. */
  startedAt: z.string(),
});
export type Execution = z.infer<typeof executionSchema>;

/** The error that a Catch stores. `Cause` is only shown: no decision depends on it. */
export const caughtErrorSchema = z.object({ Error: z.string(), Cause: z.nullish(z.string()) });
export type CaughtError = z.infer<typeof caughtErrorSchema>;

/** The result of the states that acquire the lock. */
const preflightLockSchema = z.union([
  z.object({ status: z.literal('held') }),
  /** The deploy only plans. */
  z.object({ status: z.literal('not-needed') }),
  z.object({
    status: z.literal('held-by-other'),
    holder: z.object({
      execution: z.string(),
      deploy: z.nullish(z.string()),
      startedAt: z.nullish(z.string()),
    }),
  }),
  z.object({ status: z.literal('failed'), parameter: z.string(), error: caughtErrorSchema }),
]);
export type PreflightLock = z.infer<typeof preflightLockSchema>;

export const preflightEventSchema = z.object({
  execution: executionSchema,
  lock: preflightLockSchema,
  /** The application's own task or function was asked what is pending. Absent: that is not configured. */
  asked: z.optional(
    z.object({
      /** Of the task. Empty: it is a function. */
      container: z.string(),
      /** Null: it was not asked in this mode. Otherwise what it answered, or its error. */
      answer: z.nullable(z.union([caughtErrorSchema, z.object({ answer: z.unknown() })])),
    }),
  ),
  /** The execution's input, not checked yet. */
  input: z.unknown(),
});
export type PreflightEvent = z.infer<typeof preflightEventSchema>;

export const DECISIONS = ['deploy', 'indexes', 'start-services', 'plan', 'nothing', 'refused'] as const;

/** What is known before the window about the migrations of the application's own task or function. */
export const pendingMigrationsSchema = z.object({
  /** False: only the task or function knows which migrations are pending. */
  known: z.boolean(),
  /** Names of pending migrations: the first ones, because the state carries them. */
  names: z.array(z.string()),
});

const preflightResultSchema = z.object({
  deploy: z.string(),
  startedAt: z.string(),
  mode: z.enum(MODES),
  decision: z.enum(DECISIONS),
  /** Why the deploy is refused, and the fix. Null: it is not refused. */
  refusal: z.nullable(z.string()),
  /** Requested indexes. Empty: all of the registry. */
  indexes: z.array(z.string()),
  /** Leave the services stopped after the window, for the deployment of the application. */
  hold: z.boolean(),
  /** For the report. They are no reason to refuse the deploy. */
  warnings: z.array(z.string()),
  /** Whether pending files are applied before anything is stopped. */
  online: z.boolean(),
  /** Those of the warnings that say what migrations must create. */
  notThereYet: z.array(z.string()),
  /** Absent: the migrations are SQL files, there are none, or they were not examined. */
  pendingMigrations: z.optional(pendingMigrationsSchema),
});
export type PreflightResult = z.infer<typeof preflightResultSchema>;
