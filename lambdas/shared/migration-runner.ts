import { visible } from './visible-text.ts';
import * as z from './zod.ts';

/** What runs the migrations of an environment. */
export const MIGRATION_RUNNERS = ['sql', 'ecs-task', 'lambda', 'none'] as const;
export type MigrationRunnerName = (typeof MIGRATION_RUNNERS)[number];

/** Whether the pending migrations are known before a deploy. */
export const knowsPending = (runner: MigrationRunnerName): boolean => runner === 'sql' || runner === 'none';

/** The runner in the output of the maintenance window: what the report needs to describe a failure and to name its log. */
export const migrationRunnerSchema = z.union([
  z.object({ name: z.literal('sql') }),
  z.object({
    name: z.literal('ecs-task'),
    cluster: z.string(),
    /** Family, FAMILY:REVISION or ARN, as configured. */
    taskDefinition: z.string(),
    container: z.string(),
    timeoutMinutes: z.number(),
    logs: z.nullable(z.object({ group: z.string(), streamPrefix: z.string() })),
  }),
  z.object({ name: z.literal('lambda'), function: z.string(), timeoutMinutes: z.number() }),
]);
export type MigrationRunner = z.infer<typeof migrationRunnerSchema>;
export type EcsTaskRunner = Extract<MigrationRunner, { name: 'ecs-task' }>;
export type LambdaRunner = Extract<MigrationRunner, { name: 'lambda' }>;

/** The family of a task definition. @param taskDefinition family, FAMILY:REVISION or ARN */
export function familyOf(taskDefinition: string): string {
  return taskDefinition.replace(/^.*\//, '').replace(/:\d+$/, '');
}

/** Why migrations failed. */
export const migrationFailureSchema = z.object({
  /** Name of the migration, without .sql. Null: the error does not belong to one migration. */
  file: z.nullable(z.string()),
  /** Line of the error's position in the file, otherwise the first line of the statement. Null: unknown. */
  line: z._default(z.nullable(z.int()), null),
  /** The beginning of the statement. Null: unknown. */
  statement: z._default(z.nullable(z.string()), null),
  sqlstate: z.nullable(z.string()),
  message: z.string(),
  /** The sessions that held the lock which the statement did not acquire. Null: none, or unknown. */
  blockedBy: z._default(z.nullable(z.string()), null),
  /**
   * What the transaction of the migrations left in the database. `none`: it was rolled back. `some`: it was committed, in full
   * or in part. `unknown`: the server has not reported its end.
   */
  changes: z._default(z.enum(['none', 'some', 'unknown']), 'none'),
});
export type MigrationFailure = z.infer<typeof migrationFailureSchema>;

/** What the report and the live display say about a failed SQL migration. */
export function describeMigrationFailure(failure: MigrationFailure): string {
  const { file, line, statement, message, changes } = failure;
  const migration = line === null ? `Migration ${file}` : `Migration ${file}.sql, line ${line},`;
  return visible(
    `${file === null ? 'The migrations' : migration} failed, and ${CHANGES[changes]}: ` +
      `${statement === null ? '' : `${statement}: `}${message}`,
  );
}

const CHANGES: Readonly<Record<MigrationFailure['changes'], string>> = {
  none: 'no migration was applied',
  some: 'a part of the migrations was applied',
  unknown: 'it is unknown whether migrations were applied',
};
