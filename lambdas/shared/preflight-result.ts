import type { Mode } from './modes.ts';
import * as z from './zod.ts';

/* What Preflight returns. Its own bundle contains only the types. */

export const DECISIONS = ['deploy', 'indexes', 'start-services', 'plan', 'nothing', 'refused'] as const;

/** What a deploy would do: stop the services, work while they run, or nothing. */
export const PLANNED_DECISIONS = ['deploy', 'indexes', 'nothing'] as const;
export type PlannedDecision = (typeof PLANNED_DECISIONS)[number];

/** What is known before the window about the migrations of the application's own task or function. */
export const pendingMigrationsSchema = z.object({
  /** False: only the task or function knows which migrations are pending. */
  known: z.boolean(),
  /** Names of pending migrations: the first ones, because the state carries them. */
  names: z.array(z.string()),
});

/** The revision that the input names for a service: FAMILY:REVISION. */
export const requestedRevisionSchema = z.object({ name: z.string(), taskDefinition: z.string() });

/** What a plan has found. */
export const plannedSchema = z.object({
  /** What a deploy would decide now. Null: unknown, because the database could not be read. */
  decision: z.nullable(z.enum(PLANNED_DECISIONS)),
  /** Why a deploy would be refused. */
  refusals: z.array(z.string()),
});

export interface PreflightResult {
  deploy: string;
  startedAt: string;
  mode: Mode;
  decision: (typeof DECISIONS)[number];
  /** Why the deploy is refused, and the fix. Null: it is not refused. */
  refusal: string | null;
  /** Requested indexes. Empty: all of the registry. */
  indexes: string[];
  /** Leave the services stopped after the window, for the deployment of the application. */
  hold: boolean;
  /** Absent: the input is wrong. */
  taskDefinitions?: z.infer<typeof requestedRevisionSchema>[];
  /** For the report. They are no reason to refuse the deploy. */
  warnings: string[];
  /** Only in the mode `plan`. */
  planned?: z.infer<typeof plannedSchema>;
  /** Whether pending files are applied before anything is stopped. */
  online: boolean;
  /** Those of the warnings that say what migrations must create. */
  notThereYet: string[];
  /** Absent: the migrations are SQL files, there are none, or they were not examined. */
  pendingMigrations?: z.infer<typeof pendingMigrationsSchema>;
}
