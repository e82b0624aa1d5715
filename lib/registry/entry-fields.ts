import { z } from 'zod';
import type { IndexEntry } from './define-indexes.ts';
import { acceptRefusal, type RegistryRuleName } from './registry-rules.ts';

const entrySchema = z.strictObject({
  name: z.string().min(1),
  sql: z.string(),
  critical: z.boolean().default(false),
  description: z.string().trim().min(1),
  serves: z.array(z.string().min(1)).default([]),
  onDrift: z.enum(['report', 'rebuild']).default('report'),
  accept: z.record(z.string(), z.string().trim().min(1)).default({}),
}) satisfies z.ZodType<unknown, IndexEntryInput>;

type IndexEntryInput = Omit<IndexEntry, 'serves' | 'critical' | 'onDrift' | 'accept'> & {
  serves?: string[] | undefined;
  critical?: boolean | undefined;
  onDrift?: IndexEntry['onDrift'] | undefined;
  accept?: Record<string, string> | undefined;
};

const FIELDS: Readonly<Record<keyof IndexEntry, string>> = {
  name: 'it must be the name of the index, as a text that is not empty',
  sql: 'it must be one CREATE INDEX statement, as a text',
  critical: 'it must be true or false',
  description: 'it must describe the purpose of the index in a sentence',
  serves: 'it must be a list of file names in database/queries, without .sql',
  onDrift: 'it must be "report" or "rebuild"',
  accept: 'it must contain a reason for each rule, as a text that is not empty: { RULE: reason }',
};

type ReadEntry = z.infer<typeof entrySchema>;

/** A field that is missing, unknown or has a wrong value. */
interface FormProblem {
  readonly rule: RegistryRuleName;
  /** The field, with the wrong element of it after a dot: `serves.1`. Empty: the whole entry. */
  readonly field: string;
  readonly message: string;
}

/** Reads an entry and fills in its defaults; the entry is null if it has a problem. */
export function readEntry(raw: unknown): { entry: ReadEntry | null; problems: FormProblem[] } {
  const shape = entrySchema.safeParse(raw);
  if (!shape.success) return { entry: null, problems: shape.error.issues.flatMap(describeIssue) };
  const problems = Object.keys(shape.data.accept).flatMap((rule): FormProblem[] => {
    const message = acceptRefusal(rule);
    return message === null ? [] : [{ rule: 'entry-form', field: `accept.${rule}`, message }];
  });
  return { entry: problems.length === 0 ? shape.data : null, problems };
}

function describeIssue(issue: z.core.$ZodIssue): FormProblem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((field) => ({
      rule: 'entry-form',
      field,
      message: `unknown field; valid fields: ${Object.keys(FIELDS).join(', ')}`,
    }));
  }
  const field = issue.path[0];
  if (field === undefined)
    return [{ rule: 'entry-form', field: '', message: 'it must be an object { name, sql, description }' }];
  return [{ rule: 'entry-form', field: issue.path.join('.'), message: FIELDS[field as keyof IndexEntry] }];
}

/** A text field of an entry that is not validated yet; undefined if it is not a text. */
export function textField(entry: unknown, field: 'name' | 'sql'): string | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const value = (entry as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : undefined;
}
