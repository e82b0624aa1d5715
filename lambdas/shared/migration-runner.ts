import { z } from 'zod';

/** Who runs the migrations of an environment. */
export const MIGRATION_RUNNERS = ['sql', 'ecs-task', 'lambda', 'none'] as const;
export type MigrationRunnerName = (typeof MIGRATION_RUNNERS)[number];

/** Whether it can be told before a deploy what is pending. */
export const knowsPending = (runner: MigrationRunnerName): boolean => runner === 'sql' || runner === 'none';

/** The runner as the window's verdict carries it: what the report needs to say what went wrong, and where to look. */
export const migrationRunnerSchema = z.discriminatedUnion('name', [
  z.object({ name: z.literal('sql') }),
  z.object({
    name: z.literal('ecs-task'),
    cluster: z.string(),
    /** Family, FAMILY:REVISION or ARN, as configured. */
    taskDefinition: z.string(),
    container: z.string(),
    timeoutMinutes: z.number(),
    logs: z.object({ group: z.string(), streamPrefix: z.string() }).nullable(),
  }),
  z.object({ name: z.literal('lambda'), function: z.string(), timeoutMinutes: z.number() }),
]);
export type MigrationRunner = z.infer<typeof migrationRunnerSchema>;
export type EcsTaskRunner = Extract<MigrationRunner, { name: 'ecs-task' }>;
export type LambdaRunner = Extract<MigrationRunner, { name: 'lambda' }>;

/** The family of a task definition that is told as a family, FAMILY:REVISION or an ARN. */
export function familyOf(taskDefinition: string): string {
  return taskDefinition.replace(/^.*\//, '').replace(/:\d+$/, '');
}

/** Why migrations failed. */
export const migrationFailureSchema = z.object({
  /** Name of the migration, without .sql. Null: it failed outside of a file. */
  file: z.string().nullable(),
  /** Line of the file where the statement begins, or that PostgreSQL points at within it. Null: not known. */
  line: z.int().nullable().default(null),
  /** The beginning of the statement. Null: not known. */
  statement: z.string().nullable().default(null),
  sqlstate: z.string().nullable(),
  message: z.string(),
});
export type MigrationFailure = z.infer<typeof migrationFailureSchema>;

/** The file as it is called in the folder, and the line. */
export function placeOf({ file, line }: { file: string | null; line: number | null }): string {
  if (file === null) return 'The migrations';
  return line === null ? `Migration ${file}` : `Migration ${file}.sql, line ${line},`;
}
