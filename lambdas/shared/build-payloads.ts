import { indexStatusSchema } from './index-status.ts';
import { caughtErrorSchema } from './preflight-payloads.ts';
import { MAX_INDEXES } from './requested-indexes.ts';
import { unrecordedFailureSchema } from './unrecorded-failure.ts';
import * as z from './zod.ts';

/* The payloads between the states of `build-indexes`: see payloads.ts. */

// Plan

/** Characters of the name of an execution. */
const MAX_EXECUTION_NAME = 80;

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
