import { z } from 'zod';
import { MIGRATION_RUNNERS, migrationFailureSchema } from './migration-runner.ts';

/** The result for one index. `missing`: it does not exist, and this deploy did not build it. */
const INDEX_STATUSES = [
  'present',
  'equivalent',
  'built',
  'repaired',
  'drifted',
  'building',
  'failed',
  'missing',
] as const;

export const indexStatusSchema = z.enum(INDEX_STATUSES);
export type IndexStatus = z.infer<typeof indexStatusSchema>;

const indexReportSchema = z.object({
  name: z.string(),
  schema: z.string(),
  table: z.string(),
  critical: z.boolean(),
  status: indexStatusSchema,
  attempts: z.int(),
  durationMs: z.int().nullable(),
  sizeBytes: z.int().nullable(),
  error: z.object({ sqlstate: z.string().nullable(), message: z.string() }).nullable(),
  /**
   * `equivalent`: name of the other index. `drifted`: the definition in the database. `missing`: why it cannot be built. Null:
   * nothing to say.
   */
  detail: z.string().nullable(),
  /** Sessions that blocked the build at the last check. */
  blockedBy: z.string().nullable(),
});
export type IndexReport = z.infer<typeof indexReportSchema>;

const serviceReportSchema = z.object({
  name: z.string(),
  /** ISO 8601. Null: this deploy did not stop it. */
  stoppedAt: z.string().nullable(),
  /** ISO 8601. Null: it is not running again. */
  startedAt: z.string().nullable(),
});
export type ServiceReport = z.infer<typeof serviceReportSchema>;

/** `pending` and `applied` are names of SQL files. For other runners, `applied` is what their function returned, if anything. */
const migrationsReportSchema = z.object({
  runner: z.enum(MIGRATION_RUNNERS),
  outcome: z.enum(['succeeded', 'failed', 'not-run']),
  applied: z.array(z.string()),
  pending: z.array(z.string()),
  /** Null: they did not fail. */
  failure: migrationFailureSchema
    .extend({
      /** Where the log of the ECS task or the function is, for messages. Null: in the log of run-migrations. */
      log: z.string().nullable(),
      /** What to do next, one sentence each. */
      next: z.array(z.string()),
    })
    .nullable(),
});
export type MigrationsReport = z.infer<typeof migrationsReportSchema>;

/** The report: the content of `--report FILE` and the output of a deploy's execution. */
export const reportSchema = z.object({
  deploy: z.string(),
  mode: z.string(),
  status: z.enum(['succeeded', 'failed']),
  /** ISO 8601. */
  startedAt: z.string(),
  finishedAt: z.string(),
  services: z.array(serviceReportSchema),
  /** From the stop of the first service to the start of the last. 0: none was stopped. Null: some are still stopped. */
  downtimeMs: z.int().nullable(),
  migrations: migrationsReportSchema,
  indexes: z.array(indexReportSchema),
  /** Number of entries omitted from `indexes` so that the execution's output stays below 256 KiB; successful ones first. */
  indexesOmitted: z.int(),
  totals: z.object({
    /** built and repaired */
    created: z.int(),
    /** present, equivalent and drifted */
    skipped: z.int(),
    failed: z.int(),
    /** still building or missing */
    remaining: z.int(),
  }),
  /** Why the deploy failed, in one sentence. Null: it succeeded. */
  failure: z.string().nullable(),
  warnings: z.array(z.string()),
});
export type Report = z.infer<typeof reportSchema>;
