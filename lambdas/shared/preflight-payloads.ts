import * as z from './zod.ts';

/*
 * What Preflight reads. It has a file of its own, because a bundle contains all schemas of a file, and the bundle of preflight is
 * the largest. What Preflight returns is in preflight-result.ts, and the other payloads are in payloads.ts.
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
  /** Names of the services that can get another revision. Absent: none. */
  services: z.optional(z.array(z.string())),
});
export type PreflightEvent = z.infer<typeof preflightEventSchema>;
