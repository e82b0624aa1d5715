import { z } from 'zod';
import { MIGRATION_RUNNERS, migrationFailureSchema } from './migration-runner.ts';

/** What became of one index. `missing`: it is not there and this deploy did not build it. */
export const INDEX_STATUSES = [
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

export const indexReportSchema = z.object({
  name: z.string(),
  schema: z.string(),
  table: z.string(),
  critical: z.boolean(),
  status: indexStatusSchema,
  attempts: z.int(),
  durationMs: z.int().nullable(),
  sizeBytes: z.int().nullable(),
  error: z.object({ sqlstate: z.string().nullable(), message: z.string() }).nullable(),
  /** `equivalent`: the index that serves instead. `drifted`: the definition that is there. */
  detail: z.string().nullable(),
  /** Sessions that held the build up, as last seen. */
  blockedBy: z.string().nullable(),
});
export type IndexReport = z.infer<typeof indexReportSchema>;

export const serviceReportSchema = z.object({
  name: z.string(),
  /** ISO 8601. Null: this deploy did not stop it. */
  stoppedAt: z.string().nullable(),
  /** ISO 8601. Null: it is not up again. */
  startedAt: z.string().nullable(),
});
export type ServiceReport = z.infer<typeof serviceReportSchema>;

/** `pending` and `applied` are names of SQL files; of other runners, `applied` is what their function told, if it did. */
export const migrationsReportSchema = z.object({
  runner: z.enum(MIGRATION_RUNNERS),
  outcome: z.enum(['succeeded', 'failed', 'not-run']),
  applied: z.array(z.string()),
  pending: z.array(z.string()),
  /** Null: they did not fail. */
  failure: migrationFailureSchema
    .extend({
      /** Where the log of a task or a function is, for people. Null: with the logs of this product's functions. */
      log: z.string().nullable(),
      /** What to do next, in sentences. */
      next: z.array(z.string()),
    })
    .nullable(),
});
export type MigrationsReport = z.infer<typeof migrationsReportSchema>;

/** The report that `--report FILE` writes and that a deploy's execution ends with. */
export const reportSchema = z.object({
  deploy: z.string(),
  mode: z.string(),
  status: z.enum(['succeeded', 'failed']),
  /** ISO 8601. */
  startedAt: z.string(),
  finishedAt: z.string(),
  services: z.array(serviceReportSchema),
  /** From the first service stopped until the last one up again; 0: none was stopped. Null: some are still down. */
  downtimeMs: z.int().nullable(),
  migrations: migrationsReportSchema,
  indexes: z.array(indexReportSchema),
  /** Entries left out of `indexes` so that the execution's output stays under 256 KiB; the uneventful go first. */
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
