import { indexStatusSchema } from './index-status.ts';
import { MIGRATION_RUNNERS, migrationFailureSchema } from './migration-runner.ts';
import { WINDOW_POLICIES } from './online-migrations.ts';
import { PLANNED_DECISIONS } from './preflight-result.ts';
import { VERDICTS } from './query-verdicts.ts';
import * as z from './zod.ts';

export type IndexStatus = z.infer<typeof indexStatusSchema>;

/** The result of an entry with `schemas`: numbers of schemas. Those without the table are not counted. */
const schemasReportSchema = z.object({
  total: z.int(),
  /** built and repaired */
  built: z.int(),
  /** present, equivalent and drifted */
  present: z.int(),
  failed: z.int(),
  /** still building or missing */
  remaining: z.int(),
  /** The first ones. */
  failedSchemas: z.array(z.string()),
  /** The most frequent ones first. The ledger has the message of each schema. */
  causes: z.array(
    z.object({
      sqlstate: z.nullable(z.string()),
      /** Of the first schema. */
      message: z.string(),
      count: z.int(),
      /** The first ones. */
      schemas: z.array(z.string()),
    }),
  ),
});

/** The result for one entry of the registry. On a partitioned table, each partition has a build of its own. */
const indexReportSchema = z.object({
  name: z.string(),
  schema: z.string(),
  table: z.string(),
  critical: z.boolean(),
  status: indexStatusSchema,
  /** Attempts of this deploy. Partitioned table: the largest number of attempts on one partition. 0: it needed none. */
  attempts: z.int(),
  /**
   * From the start of the first attempt to the end of the last one, on all partitions, in milliseconds. Always a number for
   * an index that was built, repaired or failed. Null: no attempt was made, or one is still running.
   */
  durationMs: z.nullable(z.int()),
  /** Size of the valid index. Partitioned table: of the indexes of all partitions. Null: there is no valid index. */
  sizeBytes: z.nullable(z.int()),
  /** Why it failed. Partitioned table: the error of the first partition that failed. Null: it did not fail. */
  error: z.nullable(z.object({ sqlstate: z.nullable(z.string()), message: z.string() })),
  /**
   * `equivalent`: name of the other index. `drifted`: the definition in the database. `missing`, `table-missing`: why it cannot be
   * built. `kept`: why the retired index is not dropped. Null: nothing to say.
   */
  detail: z.nullable(z.string()),
  /**
   * The statement that creates the retired index again that this deploy has dropped. With `schemas`, that of one schema. Absent: the
   * deploy dropped none.
   */
  restoreStatement: z.optional(z.nullable(z.string())),
  /** Sessions that blocked the build at the last check. Partitioned table: the build of any partition. */
  blockedBy: z.nullable(z.string()),
  /** Sessions that this deploy terminated because they blocked the build. Null: none. */
  terminated: z._default(z.nullable(z.string()), null),
  /**
   * The constraint of the entry. `attached`: it exists, and this index is its index. `indexValid`: the index is valid, so that only the
   * constraint is missing if that is not attached. Null: the entry has none, or it is unknown.
   */
  constraint: z._default(
    z.nullable(
      z.object({
        name: z.string(),
        type: z.enum(['unique', 'primary key']),
        attached: z.boolean(),
        indexValid: z.boolean(),
      }),
    ),
    null,
  ),
  /** The partitions on which this deploy built or tried to build the index. Null: none, or the table is not partitioned. */
  partitions: z._default(z.nullable(z.object({ built: z.int(), failed: z.int() })), null),
  /**
   * Only for an entry with `schemas`, whose indexes are one element of the report. `schema` has the patterns then, `status` is
   * the most important one, `sizeBytes` the sum, and `durationMs` lasts from the first build to the last one.
   */
  schemas: z.optional(schemasReportSchema),
});
export type IndexReport = z.infer<typeof indexReportSchema>;

/**
 * What happened to one service. `unchanged`: it was not stopped. `started`: it runs as before. `not-steady`: it was started, but
 * was not steady in time. `failed`: it could not be started. `stopped`: it was stopped, and nothing has tried to start it.
 */
const SERVICE_STATUSES = ['unchanged', 'started', 'not-steady', 'failed', 'stopped'] as const;

const serviceReportSchema = z.object({
  /** The configured name, or the name when it was stopped if it is no longer configured. */
  name: z.string(),
  /** ISO 8601. Null: this deploy did not stop it. */
  stoppedAt: z.nullable(z.string()),
  /** ISO 8601. Null: it is not running again. */
  startedAt: z.nullable(z.string()),
  status: z._default(z.enum(SERVICE_STATUSES), 'unchanged'),
  /** Why it could not be started. Null: it did not fail. */
  error: z._default(z.nullable(z.object({ name: z.string(), message: z.string() })), null),
  /** The desired count that someone else had set while it was held. It was not lowered. Absent: no one had. */
  raisedTo: z.optional(z.int()),
  /** Only in a plan: a deploy could stop it now. False also for one in the middle of an ECS deployment, for which a deploy waits. */
  usable: z.optional(z.boolean()),
  /** Only in a plan: why it could not be stopped now. Null: it could. */
  reason: z.optional(z.nullable(z.string())),
  /** Only in a plan, of an ECS service that is usable. */
  desiredCount: z.optional(z.int()),
  /** Only in a plan, of an ECS service that is usable: a deploy suspends its Application Auto Scaling. */
  scaling: z.optional(z.boolean()),
  /** Only in a plan: a deploy has stopped it, and nothing has started it yet. */
  leftStopped: z.optional(z.boolean()),
  /**
   * The revision of its task definition before the deploy and now, as FAMILY:REVISION. Null: unknown, or it does not run. `requested`:
   * the one that the input named, if it is not on it. Absent: the input named none, and it is on the same as before.
   */
  revision: z.optional(
    z.object({
      from: z.nullable(z.string()),
      to: z.nullable(z.string()),
      requested: z.optional(z.string()),
    }),
  ),
});
export type ServiceReport = z.infer<typeof serviceReportSchema>;

/** `pending` and `applied` are names of SQL files. For other runners, `applied` is what their function returned, if anything. */
const migrationsReportSchema = z.object({
  runner: z.enum(MIGRATION_RUNNERS),
  outcome: z.enum(['succeeded', 'failed', 'not-run']),
  applied: z.array(z.string()),
  pending: z.array(z.string()),
  /** True: preflight knew what is pending for the application's own task or function. Absent: it depends on the runner. */
  known: z.optional(z.boolean()),
  /** Those of `applied` that were applied while the services ran. */
  appliedOnline: z.optional(z.array(z.string())),
  /** Those of `pending` that the next deploy applies while the services run. */
  pendingOnline: z.optional(z.array(z.string())),
  /** Null: they did not fail. */
  failure: z.nullable(
    z.object({
      ...migrationFailureSchema.shape,
      /** Where the log of the ECS task or the function is, for messages. Null: in the log of run-migrations. */
      log: z.nullable(z.string()),
      /** What to do next, one sentence each. */
      next: z.array(z.string()),
    }),
  ),
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
  downtimeMs: z.nullable(z.int()),
  /** When deploys of the environment stop the services: see `window` of the environment. */
  window: z.optional(z.enum(WINDOW_POLICIES)),
  /**
   * The services are left stopped for the deployment of the application: since when, and until when at most (ISO 8601). Absent: this
   * deploy holds none.
   */
  hold: z.optional(z.object({ since: z.string(), until: z.string() })),
  /** The hold that ended when this deploy started the services: its deploy, and since when it lasted. Absent: none. */
  endedHold: z.optional(z.object({ deploy: z.string(), since: z.nullable(z.string()) })),
  migrations: migrationsReportSchema,
  /**
   * The search path in which names without a schema are looked up, and whose it is: `database.searchPath` of the environment,
   * or the setting of the role or the database. Null: the database was not read.
   */
  searchPath: z._default(
    z.nullable(z.object({ schemas: z.array(z.string()), source: z.enum(['environment', 'role']) })),
    null,
  ),
  indexes: z.array(indexReportSchema),
  /**
   * Number of entries omitted from `indexes` so that the execution's output stays below 256 KiB; successful ones first. The
   * file of `--report` contains all entries, so it is 0 there.
   */
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
  /**
   * Why the deploy failed: a sentence, below 32 KiB. If several critical indexes failed, lines that begin with "- " follow,
   * one for each cause, at most 20 in total. Null: it succeeded.
   */
  failure: z.nullable(z.string()),
  /**
   * Only in a plan: what a deploy would do now. `deploy`: stop the services. `indexes`: work while they run. Null: unknown, because the
   * database could not be read.
   */
  decision: z.optional(z.nullable(z.enum(PLANNED_DECISIONS))),
  /** Only in a plan: why a deploy would be refused now. Null: nothing is known that would refuse it. */
  refusal: z.optional(z.nullable(z.string())),
  /**
   * Only in a run on your machine that built or repaired indexes: the plans of the queries in `serves` of these indexes. Absent: they
   * serve none.
   */
  queries: z.optional(
    z.array(
      z.object({
        /** Name of the file, or the text of the query. */
        name: z.string(),
        /** The indexes that name it in `serves`. */
        servedBy: z.array(z.string()),
        verdict: z.enum(VERDICTS),
        /** Null: it uses none, or it cannot be planned. */
        index: z.nullable(z.string()),
        cost: z.nullable(z.number()),
        message: z.string(),
      }),
    ),
  ),
  /** At most 20. The last one counts those that are left out. */
  warnings: z.array(z.string()),
  /** The report in a few sentences on one line, at most 900 characters: for the approval of a pipeline and the summary of a job. */
  summary: z.optional(z.string()),
});
export type Report = z.infer<typeof reportSchema>;
