import { setImmediate as nextTurn } from 'node:timers/promises';
import { ExecutionAbortedError, ExecutionError, StateMachine } from 'aws-local-stepfunctions';
import type { Level, PreparedStep, Step } from './definition.ts';
import { Aborted, DataLimitExceeded, isTooLarge, StatesRuntime, TaskError, TimedOut } from './errors.ts';
import type { Place, StateEvent } from './events.ts';
import { runTogether } from './run-together.ts';
import { type Context, fillTemplate, type Json, queryPath } from './template.ts';

/** Items of an inline Map that Step Functions runs at the same time, at most. */
const MOST_CONCURRENT = 40;

/** What the states of one level run in. */
export interface Scope {
  /** $$ of the definition. */
  readonly context: Context;
  /** Ends this level and all below it. */
  readonly signal: AbortSignal;
  /** The Map iterations and Parallel branches around this level, outermost first. */
  readonly within: readonly Place[];
  readonly emit: (event: StateEvent) => void;
  readonly callTask: (resource: string, parameters: unknown, signal: AbortSignal) => Promise<unknown>;
}

/**
 * Runs the states of a level from StartAt to the end.
 * @throws the error that no Catch took, with the name that Step Functions calls Error; Aborted; ExecutionTimeoutError
 */
export async function runLevel(level: Level, input: unknown, scope: Scope): Promise<unknown> {
  const handlers = Object.fromEntries(
    [...level.steps].map(([state, prepared]) => [
      state,
      async (stateInput: unknown) => (await runStep(state, prepared, stateInput, scope)) as Json,
    ]),
  );
  const machine = new StateMachine(level.definition as never, { validationOptions: { noValidate: true } });
  const run = machine.run(input as Json, {
    context: scope.context,
    overrides: { taskResourceLocalHandlers: handlers },
  });
  run.result.catch(() => undefined);
  const abort = () => run.abort();
  scope.signal.addEventListener('abort', abort, { once: true });
  if (scope.signal.aborted) abort();
  let tooLarge: string | undefined;
  try {
    for await (const event of run.eventLogs) {
      if (!('state' in event)) continue;
      scope.emit({ ...event, stateType: level.types.get(event.state.name) ?? event.state.type });
      if (event.type === 'StateExited' && isTooLarge(event.state.output)) {
        tooLarge = event.state.name;
        run.abort();
        break;
      }
    }
    if (tooLarge !== undefined) {
      throw new DataLimitExceeded(tooLarge, 'output', { retry: false, catch: false });
    }
    return await run.result;
  } catch (error) {
    if (error instanceof ExecutionError) throw error.cause;
    throw error instanceof ExecutionAbortedError ? new Aborted() : error;
  } finally {
    scope.signal.removeEventListener('abort', abort);
  }
}

async function runStep(
  state: string,
  { step, parameters, resultSelector, namesDataLimit }: PreparedStep,
  stateInput: unknown,
  scope: Scope,
): Promise<unknown> {
  // The library's events come a few turns late: what the task starts is to be told of after the task itself.
  await nextTurn();
  // The library cuts a pause between two attempts short when it is aborted, and then does try once more.
  if (scope.signal.aborted) throw new Aborted();
  const { context } = scope;
  const input = parameters === undefined ? stateInput : await fillTemplate(parameters, stateInput, context);
  if (isTooLarge(input)) throw new DataLimitExceeded(state, 'input', namesDataLimit);
  const result = await resultOf(state, step, input, scope);
  if (scope.signal.aborted) throw new Aborted();
  if (isTooLarge(result)) throw new DataLimitExceeded(state, 'output', namesDataLimit);
  return resultSelector === undefined ? result : fillTemplate(resultSelector, result, context);
}

function resultOf(state: string, step: Step, input: unknown, scope: Scope): Promise<unknown> {
  switch (step.kind) {
    case 'task':
      return runTask(step, input, scope);
    case 'map':
      return runMap(state, step, input, scope);
    case 'parallel':
      return runTogether(step.branches, step.branches.length, scope.signal, (branch, index, signal) =>
        runPlaced(branch, input, 'ParallelBranch', { state, index }, { ...scope, signal }),
      );
    case 'pass':
      return Promise.resolve('result' in step ? structuredClone(step.result) : input);
    case 'fail': {
      const { Error: error, Cause: cause } = input as { Error: unknown; Cause: unknown };
      if (typeof (error ?? '') !== 'string' || typeof (cause ?? '') !== 'string') {
        throw new StatesRuntime(`The Error and the Cause of the state '${state}' must be text.`);
      }
      throw new TaskError(String(error ?? ''), String(cause ?? ''));
    }
  }
}

async function runTask(step: Step & { kind: 'task' }, input: unknown, scope: Scope): Promise<unknown> {
  const { resource, timeoutSeconds } = step;
  const ended = new AbortController();
  // The library gives up at the timeout and tells nobody; a child execution has to end then as well.
  const timer =
    timeoutSeconds === undefined
      ? undefined
      : setTimeout(() => ended.abort(new TimedOut()), timeoutSeconds * 1000 + 50);
  try {
    const signal = AbortSignal.any([scope.signal, ended.signal]);
    const result = await scope.callTask(resource, input, signal);
    return JSON.parse(JSON.stringify(result) ?? 'null');
  } finally {
    clearTimeout(timer);
  }
}

async function runMap(
  state: string,
  step: Step & { kind: 'map' },
  input: unknown,
  scope: Scope,
): Promise<unknown> {
  const { ItemsPath, ItemSelector, Parameters, MaxConcurrency, MaxConcurrencyPath } = step.state;
  const query = (path: unknown) => queryPath(String(path), input, scope.context);
  const items = ItemsPath === undefined ? input : await query(ItemsPath);
  if (!Array.isArray(items)) {
    throw new StatesRuntime(`Reference path "${String(ItemsPath ?? '$')}" must point to array.`);
  }
  const wanted = MaxConcurrencyPath === undefined ? MaxConcurrency : await query(MaxConcurrencyPath);
  const concurrent = Math.min(Number(wanted ?? 0) || MOST_CONCURRENT, MOST_CONCURRENT);
  const selector = ItemSelector ?? Parameters;
  return runTogether(items, concurrent, scope.signal, async (item: unknown, index, signal) => {
    const context = { ...scope.context, Map: { Item: { Index: index, Value: item } } };
    const selected = selector === undefined ? item : await fillTemplate(selector, input, context);
    return runPlaced(
      step.processor,
      selected,
      'MapIteration',
      { state, index },
      { ...scope, context, signal },
    );
  });
}

/** Runs an iteration or a branch and tells of its start and its end. */
async function runPlaced(
  level: Level,
  input: unknown,
  what: 'MapIteration' | 'ParallelBranch',
  place: Place,
  scope: Scope,
): Promise<unknown> {
  const within = [...scope.within, place];
  const emit = (event: StateEvent) => scope.emit({ ...event, within: event.within ?? within });
  const told = { timestamp: Date.now(), stateType: what === 'MapIteration' ? 'Map' : 'Parallel' };
  const tell = (suffix: 'Started' | 'Succeeded' | 'Failed' | 'Aborted', more: Partial<StateEvent>) =>
    emit({ ...told, timestamp: Date.now(), type: `${what}${suffix}`, state: { name: place.state }, ...more });
  tell('Started', { state: { name: place.state, input } });
  try {
    const output = await runLevel(level, input, { ...scope, within, emit });
    tell('Succeeded', { state: { name: place.state, input, output } });
    return output;
  } catch (error) {
    if (error instanceof Aborted) tell('Aborted', {});
    else if (error instanceof Error) tell('Failed', { Error: error.name, Cause: error.message });
    throw error;
  }
}
