import { BadInput } from './errors.ts';
import { type CompiledIndex, entryId, indexId, type RegistryEntry, schemaIn } from './registry.ts';
import { schemaMatcher } from './schema-patterns.ts';
import { counted, listed, shortened } from './text.ts';
import { quoted, quotedValue } from './visible-text.ts';
import * as z from './zod.ts';

export const MODES = ['deploy', 'indexes', 'plan', 'start-services'] as const;
export type Mode = (typeof MODES)[number];

/** When a deploy that has stopped the services starts them. */
export const STARTS = ['at-once', 'hold'] as const;
export type Start = (typeof STARTS)[number];

/** Most names in `indexes`, so that they fit into the state of an execution (256 KiB). */
export const MAX_INDEXES = 1_000;
/** Longest name in bytes: a schema, a dot and an index. PostgreSQL's names have at most 63 bytes. */
export const MAX_NAME_BYTES = 63 + 1 + 63;

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
});
export type ExecutionInput = z.infer<typeof executionInputSchema>;

const FIELDS = Object.keys(executionInputSchema.shape);

/** Wrong values that one message shows. */
const MOST_SHOWN = 5;
/** Characters of a message. */
const LONGEST_MESSAGE = 4_000;

/**
 * Reads an execution's input. Everyone who may start an execution can write anything into it, and the message goes into the
 * report, the log and the alert. So it quotes the beginning of a wrong value, on one line and without links.
 * @returns the input, with the names of the indexes as `resolveIndexNames` returns them
 * @throws BadInput that names the wrong field and its valid values, in at most 4,000 characters
 */
export function parseExecutionInput(raw: unknown, registry: readonly EntryName[]): ExecutionInput {
  try {
    const input = checkedInput(raw);
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
  if (parsed.success) return withPossibleHold(parsed.data);
  const { issues } = parsed.error;
  const more = issues.length - MOST_SHOWN;
  const problems = issues.slice(0, MOST_SHOWN).map((issue) => describeIssue(issue, input));
  if (more > 0) problems.push(`and ${counted(more, 'more problem')}`);
  throw new BadInput(`The execution's input is wrong: ${problems.join('; ')}.`);
}

/** @throws BadInput for a hold in a mode that stops no services */
function withPossibleHold(input: ExecutionInput): ExecutionInput {
  const { mode, start } = input;
  if (start === 'at-once' || mode === 'deploy' || mode === 'plan') return input;
  throw new BadInput(
    `The execution's input is wrong: start must be at-once, or missing, with the mode ${mode}, which stops no services: a hold needs the mode deploy.`,
  );
}

/** What names an entry. */
type EntryName = Pick<RegistryEntry, 'schema' | 'name' | 'schemas'>;

/**
 * Finds the entries of named indexes. `public.NAME` is the same index as NAME in a registry that names the schema. Only the
 * database knows the schema of an entry that does not: see `requestedIndexes`.
 * @param names at most 1,000
 * @returns the id of each entry (see `entryId`), or SCHEMA.NAME for an entry that names no schema
 * @throws BadInput for names that are not in the registry, are too long, or name an index twice
 */
export function resolveIndexNames(names: readonly string[], registry: readonly EntryName[]): string[] {
  const byId = new Map(registry.map((entry) => [entryId(entry), entry]));
  const unknown: string[] = [];
  const repeated: string[] = [];
  /** The first name of each entry. */
  const named = new Map<string, string>();
  const resolved: string[] = [];
  for (const name of names) {
    const entry = entryNamed(name, byId);
    if (entry === undefined) {
      unknown.push(name);
      continue;
    }
    // Of an entry with `schemas`, each schema has an index.
    const id = entry.schemas === undefined ? entryId(entry) : name;
    const earlier = named.get(id);
    if (earlier === undefined) {
      named.set(id, name);
      resolved.push(entry.schema === null ? name : id);
    } else if (earlier === name) repeated.push(`${quotedName(name)} more than once`);
    else repeated.push(`${quotedName(earlier)} and ${quotedName(name)}, which are the same index`);
  }
  if (unknown.length > 0) throw unknownNames(unknown, [...byId.keys()]);
  if (repeated.length > 0) {
    throw new BadInput(`indexes: it lists ${listedFirst(repeated)}. Name each index once.`);
  }
  return resolved;
}

function unknownNames(unknown: readonly string[], valid: readonly string[]): BadInput {
  return new BadInput(
    `indexes: ${listedFirst(unknown.map(quotedName))} ${unknown.length === 1 ? 'is' : 'are'} not in the registry${tooLong(unknown[0] ?? '')}. ` +
      `Valid names: ${listed(valid)}.`,
  );
}

function entryNamed(name: string, byId: ReadonlyMap<string, EntryName>): EntryName | undefined {
  const exact = byId.get(name) ?? byId.get(name.replace(/^public\./, ''));
  if (exact !== undefined) return exact;
  // A schema can contain a dot too: try each one.
  for (let dot = name.indexOf('.', 1); dot !== -1; dot = name.indexOf('.', dot + 1)) {
    const entry = byId.get(name.slice(dot + 1));
    if (entry?.schema !== null) continue;
    const schema = schemaIn(name, entry.name);
    if (schema !== null && (entry.schemas === undefined || schemaMatcher(entry.schemas)(schema)))
      return entry;
  }
  return undefined;
}

/**
 * The indexes of a database that an input names.
 * @param indexes of the whole registry
 * @param names of `resolveIndexNames`. Empty: all indexes
 * @returns the indexes in the order of the registry, and the names that this database has no index for
 */
export function requestedIndexes(
  indexes: readonly CompiledIndex[],
  names: readonly string[],
): { requested: readonly CompiledIndex[]; unknown: string[] } {
  if (names.length === 0) return { requested: indexes, unknown: [] };
  const wanted = new Set(names);
  const found = new Set<string>();
  const requested = indexes.filter((index) => {
    const ids = [index.entryId, indexId(index), `${index.schema}.${index.name}`].filter((id) =>
      wanted.has(id),
    );
    for (const id of ids) found.add(id);
    return ids.length > 0;
  });
  return { requested, unknown: names.filter((name) => !found.has(name)) };
}

/**
 * The names for the later states of a deploy: the id of each entry. A migration can create the table in another schema of the
 * search path, and the entry is the same. One schema of an entry with `schemas` stays SCHEMA.NAME.
 * @param indexes of the whole registry
 * @param names of `resolveIndexNames`
 * @throws BadInput that lists the valid names, for names that the database has no index for
 */
export function namesOfEntries(
  indexes: readonly CompiledIndex[],
  names: readonly string[],
  registry: readonly EntryName[],
): string[] {
  if (names.length === 0) return [];
  const { requested, unknown } = requestedIndexes(indexes, names);
  // No schema has to match.
  const perSchema = new Set(registry.filter(({ schemas }) => schemas !== undefined).map(entryId));
  const wrong = unknown.filter((name) => !perSchema.has(name));
  if (wrong.length > 0) throw unknownNames(wrong, [...perSchema, ...indexes.map(indexId)]);
  const inOneSchema = requested.filter((index) => index.schemas === undefined);
  const ids = new Set(inOneSchema.map((index) => index.entryId));
  const bySchema = new Map(inOneSchema.map((index) => [`${index.schema}.${index.name}`, index.entryId]));
  return names.map((name) => (ids.has(name) ? name : (bySchema.get(name) ?? name)));
}

function tooLong(name: string): string {
  return Buffer.byteLength(name) > MAX_NAME_BYTES
    ? ` (a name has at most ${MAX_NAME_BYTES} bytes, also with its schema)`
    : '';
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
  if (path === 'force') return `force must be true or false, ${not}`;
  return `${path}: must be ${path === 'indexes' ? 'a list of index names' : 'the name of an index'}, ${not}`;
}

function listedFirst(texts: readonly string[]): string {
  return listed(texts, MOST_SHOWN);
}

/** Shows a word of the input. Mail clients make a link of any host name, so its dots are escaped. */
function quotedWord(text: string): string {
  return quoted(text).replaceAll('.', '\\u002e');
}

/** Shows the name of an index as SQL quotes it, `"schema"."name"`, which is no host name either. */
function quotedName(name: string): string {
  return quoted(name).replaceAll('.', '"."');
}
