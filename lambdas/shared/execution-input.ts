import { BadInput } from './errors.ts';
import { MODES } from './modes.ts';
import {
  type EntryName,
  listedFirst,
  MAX_INDEXES,
  MOST_SHOWN,
  resolveIndexNames,
} from './requested-indexes.ts';
import { counted, listed, shortened } from './text.ts';
import { quoted, quotedValue } from './visible-text.ts';
import * as z from './zod.ts';

/** When a deploy that has stopped the services starts them. */
export const STARTS = ['at-once', 'hold'] as const;
export type Start = (typeof STARTS)[number];

/** Whether it is FAMILY:REVISION. */
export const isRevision = (text: unknown) =>
  typeof text === 'string' && /^[\w-]{1,255}:[1-9]\d{0,9}$/.test(text);
const areRevisions = (given: unknown) =>
  Object(given) === given && Object.values(given as object).every(isRevision);

/** The input of an execution of `deploy`. `{}` is the full deploy. */
export const executionInputSchema = z.strictObject({
  mode: z._default(z.enum(MODES), 'deploy'),
  /** Names of indexes in the registry: NAME, SCHEMA.NAME. Each index once. Empty: all. */
  indexes: z._default(z.array(z.string()).check(z.maxLength(MAX_INDEXES)), []),
  /** Run the full deploy, and stop the services, even if nothing is pending. */
  force: z._default(z.boolean(), false),
  /**
   * `at-once`: at the end of the window. `hold`: a deploy that succeeds leaves them stopped for the deployment of the application. The
   * mode `start-services` ends the hold, and the recovery does when `holdMinutes` have passed.
   */
  start: z._default(z.enum(STARTS), 'at-once'),
  /** The revisions, FAMILY:REVISION, on which ECS services come back after a deploy that succeeds, by the names of the services. */
  taskDefinitions: z._default(z.custom<Readonly<Record<string, string>>>(areRevisions), {}),
});
export type ExecutionInput = z.infer<typeof executionInputSchema>;

const FIELDS = Object.keys(executionInputSchema.shape);

/** Characters of a message. */
const LONGEST_MESSAGE = 4_000;

/**
 * Reads an execution's input. Everyone who may start an execution can write anything into it, and the message goes into the
 * report, the log and the alert. So it quotes the beginning of a wrong value, on one line and without links.
 * @param services names of the services that can get another revision
 * @returns the input, with the names of the indexes as `resolveIndexNames` returns them
 * @throws BadInput that names the wrong field and its valid values, in at most 4,000 characters
 */
export function parseExecutionInput(
  raw: unknown,
  registry: readonly EntryName[],
  services: readonly string[] = [],
): ExecutionInput {
  try {
    const input = checkedInput(raw);
    const unknown = Object.keys(input.taskDefinitions).filter((name) => !services.includes(name));
    if (unknown.length > 0) {
      throw new BadInput(
        `taskDefinitions: no ECS service with "roles" in the configuration is named ${listedFirst(unknown.map(quotedWord))}. Valid names: ${listed(services) || 'none'}.`,
      );
    }
    return { ...input, indexes: resolveIndexNames(input.indexes, registry) };
  } catch (error) {
    if (!(error instanceof BadInput)) throw error;
    throw new BadInput(shortened(error.message, LONGEST_MESSAGE));
  }
}

/**
 * Checks an execution's input without a registry.
 * @throws BadInput that names the wrong field and its valid values
 */
export function checkedInput(raw: unknown): ExecutionInput {
  // Step Functions and the console's editor add fields that the user cannot remove.
  const input = withoutStepFunctionsFields(raw);
  refuseTooMany(input);
  const parsed = executionInputSchema.safeParse(input);
  if (parsed.success) return withPossibleStart(parsed.data);
  const { issues } = parsed.error;
  const more = issues.length - MOST_SHOWN;
  const problems = issues.slice(0, MOST_SHOWN).map((issue) => describeIssue(issue, input));
  if (more > 0) problems.push(`and ${counted(more, 'more problem')}`);
  throw new BadInput(`The execution's input is wrong: ${problems.join('; ')}.`);
}

/** @throws BadInput for a hold or revisions in a mode that stops no services */
function withPossibleStart(input: ExecutionInput): ExecutionInput {
  const { mode, start, taskDefinitions } = input;
  if (mode === 'deploy' || mode === 'plan') return input;
  const [field, instead] =
    start !== 'at-once'
      ? ['start', 'at-once, or missing,']
      : Object.keys(taskDefinitions).length > 0
        ? ['taskDefinitions', 'missing']
        : [];
  if (field === undefined) return input;
  throw new BadInput(
    `The execution's input is wrong: ${field} must be ${instead} with the mode ${mode}, which stops no services: it needs the mode deploy.`,
  );
}

/** An input that Step Functions accepts can hold 100,000 elements. Each wrong one would be an issue. */
function refuseTooMany(input: unknown): void {
  if (typeof input !== 'object' || input === null || !Object.hasOwn(input, 'indexes')) return;
  const { indexes } = input as { indexes: unknown };
  if (!Array.isArray(indexes) || indexes.length <= MAX_INDEXES) return;
  throw new BadInput(
    `indexes: it lists ${indexes.length} names. At most ${MAX_INDEXES} are possible. Without the field, the deploy builds all indexes of the registry that are missing.`,
  );
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

function describeIssue(issue: z.core.$ZodIssue, input: unknown): string {
  const path = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    return `unknown field ${listedFirst(issue.keys.map(quotedWord))}, valid fields: ${FIELDS.join(', ')}`;
  }
  if (path === '') return `it must be a JSON object with the optional fields ${FIELDS.join(', ')}`;
  const given = issue.path.reduce<unknown>((value, key) => Reflect.get(Object(value), key), input);
  const not = `not ${typeof given === 'string' ? quotedWord(given) : quotedValue(given)}`;
  if (path === 'mode') return `mode must be one of ${MODES.join(', ')}, ${not}`;
  if (path === 'start') return `start must be one of ${STARTS.join(', ')}, ${not}`;
  if (path === 'taskDefinitions')
    return `taskDefinitions must be like {"api": "api:42"}: names of services and FAMILY:REVISION, ${not}`;
  if (path === 'force') return `force must be true or false, ${not}`;
  return `${path}: must be ${path === 'indexes' ? 'a list of index names' : 'the name of an index'}, ${not}`;
}

/** Shows a word of the input. Mail clients make a link of any host name, so its dots are escaped. */
function quotedWord(text: string): string {
  return quoted(text).replaceAll('.', '\\u002e');
}
