import { z } from 'zod';
import { notConfigurable, SEVERITIES } from '../lint/configured-rules.ts';
import { fields, parseContext } from './configuration-error.ts';

const severity = z.enum(SEVERITIES);

const RULE_VALUE =
  'must be off, warn or error, or a list such as [{ "paths": ["db/migrate/2019*"], "severity": "off" }]';

/** The severities of rules by name, and by path. */
const rulesSchema = z
  .record(
    z.string(),
    z.union(
      [severity, z.array(fields({ paths: z.array(z.string().min(1)).min(1), severity })).min(1)],
      RULE_VALUE,
    ),
  )
  .superRefine((rules, context) => {
    for (const rule of Object.keys(rules)) {
      const message = notConfigurable(rule);
      if (message !== null) context.addIssue({ code: 'custom', path: [rule], message });
    }
  });

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
  /** Rules that are off, warn or are errors, in all files or in some. @default the severities of docs/lint.md */
  rules: rulesSchema.default({}),
  /** Foreign keys that need no index, each with the reason. */
  acceptedForeignKeys: z
    .array(
      fields({
        /** TABLE or SCHEMA.TABLE. */
        table: z.string().min(1),
        columns: z.array(z.string().min(1)).min(1),
        reason: z.string().trim().min(1),
      }),
    )
    .default([]),
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
