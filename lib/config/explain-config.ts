import { z } from 'zod';
import { GATED, POLICIES } from '../explain/gate.ts';
import { fields, parseContext } from './configuration-error.ts';

const policy = z.enum(POLICIES);

const POLICY_VALUE =
  'must be off, warn or fail, or a list such as [{ "tables": ["audit_logs"], "policy": "off" }]';

/** Policies of verdicts by name, and by table. */
const policySchema = z
  .union(
    [policy, z.array(fields({ tables: z.array(z.string().min(1)).min(1), policy })).min(1)],
    POLICY_VALUE,
  )
  .optional();

const explainSchema = fields({
  /** Folder with the queries, relative to the project. @default the folder queries beside the registry */
  queries: z.string().min(1).optional(),
  /** A scan of a table with fewer rows is too small to judge. @default 1000, and a query that uses the index that serves it passes */
  minRows: z.int().min(0).optional(),
  /** What each verdict means for a pipeline. @default warn, for too-small off */
  policies: fields(
    Object.fromEntries(GATED.map((name) => [name, policySchema])) as Record<
      (typeof GATED)[number],
      typeof policySchema
    >,
  ).prefault({}),
}).prefault({});

/** The context `explain` of cdk.json. */
export type ExplainConfig = z.output<typeof explainSchema>;

/**
 * Checks the context `explain` of cdk.json.
 * @throws ConfigurationError with the path of every wrong value and what is valid there
 */
export function parseExplainConfig(raw: unknown): ExplainConfig {
  return parseContext('explain', explainSchema, raw);
}
