import { z } from 'zod';
import { fields, parseContext } from './configuration-error.ts';

const lintSchema = fields({
  /** Column that holds the tenant of a row. Null: the tables have no tenants. */
  tenantColumn: z.string().min(1).nullable().default('tenant_id'),
  /** Folders of migrations, relative to the project. @default those of the environments with the runner sql */
  migrations: z.array(z.string().min(1)).optional(),
  /** The last migration that is not checked. Migrations up to it may create indexes. @default all are checked */
  startAfter: z.string().min(1).optional(),
  /** Values of placeholders in the migrations, by name: `{ "schema": "public" }` for `${schema}` and `{{schema}}`. */
  placeholders: z
    .record(z.string().min(1), z.string().regex(/^[^\r\n\0]*$/, 'must be on one line'))
    .default({}),
  /** File with the schema (structure.sql, a dump), relative to the project. @default the result of the migrations */
  schema: z.string().min(1).optional(),
}).prefault({});

/** The context `lint` of cdk.json. */
type LintConfig = z.output<typeof lintSchema>;

/**
 * Checks the context `lint` of cdk.json.
 * @throws ConfigurationError with the path of every wrong value and what is valid there
 */
export function parseLintConfig(raw: unknown): LintConfig {
  return parseContext('lint', lintSchema, raw);
}
