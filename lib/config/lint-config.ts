import { z } from 'zod';
import { ConfigurationError } from './load-environments.ts';

/** The context `lint` of cdk.json: what the linter is told of a project. */
export const lintSchema = z
  .strictObject({
    /** Column that tells a tenant's rows; null: there are no tenants. */
    tenantColumn: z.string().min(1).nullable().default('tenant_id'),
    /** Folders of migrations, relative to the project. @default those of the environments with the runner sql */
    migrations: z.array(z.string().min(1)).optional(),
    /** The last migration that is not linted: those before the indexes moved into the registry are history. */
    startAfter: z.string().min(1).optional(),
    /** File with the schema (structure.sql, a dump), relative to the project. @default what the migrations make */
    schema: z.string().min(1).optional(),
  })
  .prefault({});

export type LintConfig = z.output<typeof lintSchema>;

/**
 * Checks the context `lint` of cdk.json.
 * @throws ConfigurationError naming the path of every wrong value and what it may be.
 */
export function parseLintConfig(raw: unknown): LintConfig {
  const parsed = lintSchema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const problems = parsed.error.issues.map((issue) => {
    const path = ['lint', ...issue.path].join('.');
    if (issue.code === 'unrecognized_keys') {
      const valid = Object.keys(lintSchema.unwrap().shape).join(', ');
      return `  ${path}: unknown field ${issue.keys.join(', ')}; valid fields: ${valid}`;
    }
    return `  ${path}: ${issue.message}`;
  });
  throw new ConfigurationError(`cdk.json, context: the configuration is wrong.\n${problems.join('\n')}`);
}
