import { z } from 'zod';
import { patternProblem } from '../../lambdas/shared/schema-patterns.ts';
import type { EntryConstraint, IndexEntry, RetiredIndex } from './define-indexes.ts';
import { acceptRefusal, type RegistryRuleName } from './registry-rules.ts';

const entrySchema = z.strictObject({
  name: z.string().min(1),
  sql: z.string(),
  critical: z.boolean().default(false),
  description: z.string().trim().min(1),
  serves: z.array(z.string().min(1)).default([]),
  onDrift: z.enum(['report', 'rebuild']).default('report'),
  accept: z.record(z.string(), z.string().trim().min(1)).default({}),
  schemas: z.array(z.string()).optional(),
  constraint: z.strictObject({ name: z.string().min(1), type: z.enum(['unique', 'primary key']) }).optional(),
  retired: z
    .strictObject({
      since: z.iso.date(),
      reason: z.string().trim().min(1),
      force: z.boolean().default(false),
    })
    .optional(),
}) satisfies z.ZodType<unknown, IndexEntryInput>;

type IndexEntryInput = Omit<
  IndexEntry,
  'serves' | 'critical' | 'onDrift' | 'accept' | 'schemas' | 'constraint' | 'retired'
> & {
  serves?: string[] | undefined;
  critical?: boolean | undefined;
  onDrift?: IndexEntry['onDrift'] | undefined;
  accept?: Record<string, string> | undefined;
  schemas?: string[] | undefined;
  constraint?: EntryConstraint | undefined;
  retired?: (Omit<RetiredIndex, 'force'> & { force?: boolean | undefined }) | undefined;
};

/** What `schemas` of an entry or of a registry must be. */
export const SCHEMAS_FORM = 'it must be a list of schemas, as texts: names, or patterns such as "tenant_*"';

const FIELDS: Readonly<Record<keyof IndexEntry, string>> = {
  name: 'it must be the name of the index, as a text that is not empty',
  sql: 'it must be one CREATE INDEX statement, as a text',
  critical: 'it must be true or false',
  description: 'it must describe the purpose of the index in a sentence',
  serves: 'it must be a list of file names in database/queries, without .sql',
  onDrift: 'it must be "report" or "rebuild"',
  accept: 'it must contain a reason for each rule, as a text that is not empty: { RULE: reason }',
  constraint: 'it must be { name, type }, with type "unique" or "primary key"',
  retired: 'it must be { since, reason }, with a date such as "2026-11-22" and a reason in a sentence',
  schemas: SCHEMAS_FORM,
};

const CONSTRAINT_FIELDS: Readonly<Record<keyof EntryConstraint, string>> = {
  name: 'it must be the name of the constraint, as a text that is not empty',
  type: 'it must be "unique" or "primary key"',
};

const RETIRED_FIELDS: Readonly<Record<keyof RetiredIndex, string>> = {
  since: 'it must be the date from which on a deploy may drop the index, as YYYY-MM-DD',
  reason: 'it must say in a sentence why the index is not needed any more',
  force: 'it must be true or false',
};

/** The fields of the fields that are objects. */
const INNER_FIELDS: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  constraint: CONSTRAINT_FIELDS,
  retired: RETIRED_FIELDS,
};

type ReadEntry = z.infer<typeof entrySchema>;

/** A field that is missing, unknown or has a wrong value. */
export interface FormProblem {
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
  problems.push(...retiredProblems(shape.data));
  const schemas = patternProblem(shape.data.schemas ?? []);
  if (schemas !== null)
    problems.push({ rule: 'entry-form', field: schemasField(schemas.at), message: schemas.message });
  return { entry: problems.length === 0 ? shape.data : null, problems };
}

function retiredProblems({ retired, constraint, critical }: ReadEntry): FormProblem[] {
  if (retired === undefined) return [];
  const problem = (field: string, message: string): FormProblem => ({ rule: 'entry-form', field, message });
  return [
    ...(constraint === undefined
      ? []
      : [
          problem(
            'retired',
            'the index of a constraint cannot be retired; drop the constraint in a migration',
          ),
        ]),
    ...(critical
      ? [problem('critical', 'a retired index is not critical; remove either "critical" or "retired"')]
      : []),
  ];
}

/** The field of a pattern in messages. @param at undefined: the whole list */
export function schemasField(at: number | undefined): string {
  return at === undefined ? 'schemas' : `schemas.${at}`;
}

/** ON CONFLICT and foreign keys cannot use such a constraint. */
const NOT_DEFERRABLE = '; add a deferrable constraint in a migration';

function describeIssue(issue: z.core.$ZodIssue): FormProblem[] {
  const [field, inner] = issue.path;
  if (issue.code === 'unrecognized_keys') {
    const valid = Object.keys(INNER_FIELDS[String(field)] ?? FIELDS).join(', ');
    return issue.keys.map((key) => ({
      rule: 'entry-form',
      field: [...issue.path, key].join('.'),
      message: `unknown field; valid fields: ${valid}${key === 'deferrable' ? NOT_DEFERRABLE : ''}`,
    }));
  }
  if (field === undefined)
    return [{ rule: 'entry-form', field: '', message: 'it must be an object { name, sql, description }' }];
  const message = INNER_FIELDS[String(field)]?.[String(inner)] ?? FIELDS[field as keyof IndexEntry];
  return [{ rule: 'entry-form', field: issue.path.join('.'), message }];
}

/** A text field of an entry that is not validated yet; undefined if it is not a text. */
export function textField(entry: unknown, field: 'name' | 'sql'): string | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const value = (entry as Record<string, unknown>)[field];
  return typeof value === 'string' ? value : undefined;
}
