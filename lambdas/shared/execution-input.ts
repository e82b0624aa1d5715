import { z } from 'zod';
import { BadInput } from './errors.ts';
import { listed } from './text.ts';

export const MODES = ['deploy', 'indexes', 'plan', 'start-services'] as const;
export type Mode = (typeof MODES)[number];

/** The input of an execution of `deploy`. `{}` is the full deploy. */
export const executionInputSchema = z.strictObject({
  mode: z.enum(MODES).default('deploy'),
  /** Names of indexes in the registry. Empty: all. */
  indexes: z.array(z.string()).default([]),
  /** Run the full deploy, and stop the services, even if nothing is pending. */
  force: z.boolean().default(false),
});
export type ExecutionInput = z.infer<typeof executionInputSchema>;

const FIELDS = Object.keys(executionInputSchema.shape);

/**
 * Reads an execution's input.
 * @throws BadInput that names the wrong field and its valid values
 */
export function parseExecutionInput(raw: unknown, registryNames: readonly string[]): ExecutionInput {
  // Step Functions and the console's editor add fields that the user cannot remove.
  const input = withoutStepFunctionsFields(raw);
  const parsed = executionInputSchema.safeParse(input);
  if (!parsed.success) {
    throw new BadInput(
      `The execution's input is wrong: ${parsed.error.issues.map(describeIssue).join('; ')}.`,
    );
  }
  const unknown = parsed.data.indexes.filter((name) => !registryNames.includes(name));
  if (unknown.length > 0) {
    throw new BadInput(
      `indexes: ${unknown.map((name) => `"${name}"`).join(', ')} is not in the registry. ` +
        `Valid names: ${listed(registryNames)}.`,
    );
  }
  return parsed.data;
}

function withoutStepFunctionsFields(raw: unknown): unknown {
  if (typeof raw !== 'object' || raw === null || Array.isArray(raw)) return raw;
  const {
    AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID: _parent,
    Comment: _comment,
    ...rest
  } = raw as Record<string, unknown>;
  return rest;
}

function describeIssue(issue: z.core.$ZodIssue): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return `unknown field ${issue.keys.map((key) => `"${key}"`).join(', ')}, valid fields: ${FIELDS.join(', ')}`;
  }
  if (path === '') return `it must be a JSON object with the optional fields ${FIELDS.join(', ')}`;
  if (path === 'mode') return `mode must be one of ${MODES.join(', ')}`;
  if (path === 'force') return 'force must be true or false';
  return `${path}: must be ${path === 'indexes' ? 'a list of index names' : 'the name of an index'}`;
}
