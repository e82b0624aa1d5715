import { createHash } from 'node:crypto';
import { createRequire } from 'node:module';
import validate from 'asl-validator';
import { isValidDefinition, recordValidDefinition } from '../../files/code-caches.ts';
import { type Definition, type Level, levelSchema, levelsIn, type State } from './definition.ts';
import { toError } from './errors.ts';
import { parseExpression } from './expressions.ts';
import { jsonataIn, parseJsonata } from './jsonata.ts';

/**
 * The hashes of valid definitions, of this process. The validator compiles its schemas in each call, which takes longer than the
 * other checks.
 */
const valid = new Set<string>();

const VALIDATOR = `asl-validator ${createRequire(import.meta.url)('asl-validator/package.json').version}`;

/**
 * Checks a definition as CreateStateMachine does, and that the engine runs all of it as AWS does.
 * @param canCall whether a Task state may call a Resource
 * @throws Error naming the states and their problems
 */
export function checked(definition: Definition, canCall: (resource: string) => boolean): Level {
  const text = JSON.stringify(definition);
  const digest = createHash('sha256').update(`${VALIDATOR} ${text}`).digest('hex');
  if (!valid.has(digest) && !isValidDefinition(digest)) {
    // The validator adds fields to the states of its copy.
    const { isValid, errorsText } = validate(JSON.parse(text));
    if (!isValid) throw new Error(`The definition is not valid: ${errorsText('; ')}.`);
    recordValidDefinition(digest);
  }
  valid.add(digest);
  const { data: level, error } = levelSchema.safeParse(definition);
  const unsupported = error?.issues.map(({ path, message }) => `${path.join('.')}: ${message}.`);
  if (level === undefined) throw new Error(unsupported?.join(' '));
  const problems = [...problemsOf(level, canCall)];
  if (problems.length > 0) throw new Error(problems.join(' '));
  return level;
}

function* problemsOf(level: Level, canCall: (resource: string) => boolean): Generator<string> {
  const { StartAt, States } = level;
  const reached = new Set([StartAt]);
  // Names that are added during the iteration are visited too.
  for (const name of reached) {
    const state = States[name];
    if (state === undefined) yield `StartAt, Next or Default names "${name}", a state that does not exist.`;
    else for (const target of targetsOf(state)) reached.add(target);
  }
  for (const [name, state] of Object.entries(States)) {
    if (!reached.has(name)) yield `No state leads to the state "${name}".`;
    if (state.Type === 'Task' && !canCall(state.Resource)) {
      yield `The state "${name}" calls ${state.Resource}, which the local AWS does not support.`;
    }
    const isJsonata = state.QueryLanguage === 'JSONata';
    for (const expression of isJsonata ? jsonataOf(state) : expressionsOf(state)) {
      try {
        (isJsonata ? parseJsonata : parseExpression)(expression);
      } catch (error) {
        yield `The state "${name}" ${toError(error).message}`;
      }
    }
    for (const inner of levelsIn(state)) yield* problemsOf(inner, canCall);
  }
}

function targetsOf({ Next, Default, Choices, Catch }: State): string[] {
  const named = [Next, Default, ...[...Choices, ...Catch].map((rule) => rule.Next)];
  return named.filter((name) => name !== undefined);
}

/** The paths and the calls of intrinsic functions of a state, without those of the levels inside it. */
function expressionsOf(state: State): string[] {
  const { Parameters, ResultSelector, ItemSelector, Choices, Catch, ...fields } = state;
  const paths = Object.entries(fields).filter(([field]) => field.endsWith('Path'));
  return [
    ...textsIn([Parameters, ResultSelector, ItemSelector], (key) => key.endsWith('.$')),
    ...textsIn(
      [Choices, Catch, Object.fromEntries(paths)],
      (key) => key === 'Variable' || key.endsWith('Path'),
    ),
  ];
}

/** The expressions of a state that uses JSONata. */
function jsonataOf({ Arguments, Output, Catch }: State): string[] {
  return jsonataIn([Arguments, Output, ...Catch.map((catcher) => catcher.Output)]);
}

function textsIn(value: unknown, isWanted: (key: string) => boolean): string[] {
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, inner]: [string, unknown]) =>
    typeof inner === 'string' && isWanted(key) ? [inner] : textsIn(inner, isWanted),
  );
}
