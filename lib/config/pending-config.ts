import { z } from 'zod';
import { MIGRATION_TOOLS } from '../../lambdas/shared/tool-migrations.ts';
import { fields } from './configuration-error.ts';

/*
 * How a deploy knows what is pending, if the application's own task or function runs the migrations: from the table of its tool, or
 * by asking the task or the function.
 */

const toolFields = {
  /** The migration tool whose table is compared with `directory`. */
  tool: z.enum(MIGRATION_TOOLS).optional(),
  /** Folder of the tool's migrations, relative to the project. */
  directory: z.string().min(1).optional(),
  /** The tool's table, as TABLE or SCHEMA.TABLE. @default the tool's own, in the one schema that has it */
  table: z
    .string()
    .regex(/^([^".]+\.)?[^".]+$/, 'must be TABLE or SCHEMA.TABLE, without quotes')
    .optional(),
};

/** Time limit of the answer, in minutes. @default 5 */
const timeoutMinutes = z.number().positive().max(15, 'must be at most 15').optional();

type Fields = Readonly<Record<string, unknown>>;

/** Either a tool or the field with which the task or function is asked, and each with its own other fields. */
function oneOf(ask: string) {
  return (value: Fields, context: z.RefinementCtx) => {
    const has = (name: string) => value[name] !== undefined;
    const problem = (path: string, message: string) =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (has('tool') && has(ask)) problem(ask, 'must not be combined with tool, because one of them decides');
    if (!has('tool') && !has(ask)) {
      problem(
        'tool',
        `is required, with directory: one of ${MIGRATION_TOOLS.join(', ')}. For another tool, enter ${ask}`,
      );
    }
    if (has('tool') && !has('directory'))
      problem('directory', "is required: the folder of the tool's migrations");
    for (const name of has('tool') ? [] : ['directory', 'table']) {
      if (has(name) && has(ask)) problem(name, `must not be combined with ${ask}`);
    }
    if (has('timeoutMinutes') && !has(ask)) problem('timeoutMinutes', `is only for ${ask}`);
  };
}

export const taskPendingSchema = fields({
  ...toolFields,
  /** Command of the container whose exit code says what is pending: 0 nothing, 1 something. */
  command: z.array(z.string()).min(1).optional(),
  timeoutMinutes,
}).superRefine(oneOf('command'));

export const functionPendingSchema = fields({
  ...toolFields,
  /** With this payload the function answers `{"pending": ["name", …]}` and changes nothing. */
  payload: z.record(z.string(), z.json()).optional(),
  timeoutMinutes,
}).superRefine(oneOf('payload'));

/** Minutes in which the task or function must answer. */
export const ANSWER_MINUTES = 5;

/** The tool whose table is compared. */
export interface PendingTool {
  readonly tool: (typeof MIGRATION_TOOLS)[number];
  readonly directory: string;
  readonly table?: string | undefined;
}

/** The tool whose table says what is pending. Null: none does. */
export function pendingToolOf(migrations: {
  readonly pending?: Partial<PendingTool> | undefined;
}): PendingTool | null {
  const { tool, directory, table } = migrations.pending ?? {};
  return tool === undefined || directory === undefined ? null : { tool, directory, table };
}
