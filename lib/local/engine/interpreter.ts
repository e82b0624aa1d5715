import { setImmediate as nextTurn } from 'node:timers/promises';
import { choose, timestamp } from './choice.ts';
import { type EngineClock, LONGEST_TIMER_MS } from './clock.ts';
import type { Level, Retrier, State } from './definition.ts';
import {
  Aborted,
  covers,
  refuseTooLarge,
  refuseTooLong,
  StatesRuntime,
  TaskError,
  TimedOut,
  toError,
} from './errors.ts';
import type { EngineEvent, Iteration } from './events.ts';
import { evaluate, fillTemplate } from './expressions.ts';
import { fillJsonata } from './jsonata.ts';
import { type Data, integerAt, placeResult, throughPath, valueAt } from './paths.ts';

/** Items of an inline Map that Step Functions runs at the same time, at most. */
const MOST_CONCURRENT = 40;

/** What the states of one level run in. */
export interface Run {
  /** $$ of the definition. */
  readonly context: Data['context'];
  /** Ends this level and all levels inside it. Its reason is Aborted or TimedOut. */
  readonly signal: AbortSignal;
  /** The Map iterations and Parallel branches around this level, outermost first. */
  readonly within: readonly Iteration[];
  readonly emit: (event: Pick<EngineEvent, 'type'> & Partial<EngineEvent>) => void;
  readonly callTask: (resource: string, parameters: unknown, signal: AbortSignal) => Promise<unknown>;
  readonly clock: EngineClock;
}

/** A state that was entered. */
interface Visit extends Run {
  readonly name: string;
  readonly state: State;
  readonly input: unknown;
  /** Fields of $$.State. */
  readonly entered: Readonly<Record<string, unknown>>;
  /** Emits an event of the state. */
  readonly report: (type: EngineEvent['type'], more?: Partial<EngineEvent>) => void;
}

interface Outcome {
  readonly output: unknown;
  /** Undefined: the level ends here. */
  readonly next: string | undefined;
}

/**
 * Runs the states of a level from StartAt to an end.
 * @returns the output of the last state
 * @throws the error that no Catch covers, with the name that Step Functions calls Error; the reason of the signal
 */
export async function runLevel(level: Level, input: unknown, run: Run): Promise<unknown> {
  let at: Outcome = { next: level.StartAt, output: input };
  while (at.next !== undefined) {
    // A loop of states that wait for nothing must not keep timers and other executions from running.
    await nextTurn();
    run.signal.throwIfAborted();
    const visit = enter(at.next, level, at.output, run);
    visit.report('StateEntered');
    at = await runState(visit);
    visit.report('StateExited', { output: at.output });
  }
  return at.output;
}

function enter(name: string, { States }: Level, input: unknown, run: Run): Visit {
  const state = States[name];
  if (state === undefined) throw new StatesRuntime(`The state "${name}" does not exist.`);
  const entered = { Name: name, EnteredTime: new Date().toISOString(), RetryCount: 0 };
  const context = { ...run.context, State: entered };
  const common = { state: name, stateType: state.Type, within: run.within, input };
  return {
    ...{ ...run, context, name, state, input, entered },
    report: (type, more) => run.emit({ type, ...common, ...more }),
  };
}

/** Attempts a state until it succeeds, no Retry covers its error, or its retries are used up; then applies Catch. */
async function runState(visit: Visit): Promise<Outcome> {
  const { state, input, signal, report } = visit;
  const retries = new Map<Retrier, number>();
  for (let retryCount = 0; ; retryCount += 1) {
    try {
      return await attempt(withRetryCount(visit, retryCount));
    } catch (thrown) {
      signal.throwIfAborted();
      const error = toError(thrown);
      report('StateFailed', { error: error.name, cause: error.message });

      const retrier = state.Retry.find(({ ErrorEquals }) => covers(ErrorEquals, error));
      const used = retrier === undefined ? 0 : (retries.get(retrier) ?? 0);
      if (retrier !== undefined && used < retrier.MaxAttempts) {
        retries.set(retrier, used + 1);
        await visit.clock.sleep(retryDelaySeconds(retrier, used), signal, 'retry');
        report('StateRetried', { attempt: used + 1 });
        continue;
      }
      const catcher = state.Catch.find(({ ErrorEquals }) => covers(ErrorEquals, error));
      if (catcher === undefined) throw error;
      report('StateCaught');
      const caught = { Error: error.name, Cause: error.message };
      const { Output, ResultPath, Next: next } = catcher;
      if (state.QueryLanguage !== 'JSONata') return { output: placeResult(ResultPath, input, caught), next };
      if (Output === undefined) return { output: caught, next };
      const output = await fillJsonata(Output, { input, context: visit.context, errorOutput: caught });
      return { output, next };
    }
  }
}

/** $$.State.RetryCount counts the retries of all retriers. */
function withRetryCount(visit: Visit, retryCount: number): Visit {
  const context = { ...visit.context, State: { ...visit.entered, RetryCount: retryCount } };
  return { ...visit, context };
}

/** Seconds to wait before a retry. @param used how many retries of this retrier were made before */
export function retryDelaySeconds(retrier: Retrier, used: number): number {
  const { IntervalSeconds, BackoffRate, MaxDelaySeconds, JitterStrategy } = retrier;
  const delay = Math.min(IntervalSeconds * BackoffRate ** used, MaxDelaySeconds);
  return JitterStrategy === 'FULL' ? Math.random() * delay : delay;
}

/** Applies InputPath and Parameters, does the work of the state, applies ResultSelector, ResultPath and OutputPath. */
async function attempt(visit: Visit): Promise<Outcome> {
  if (visit.state.QueryLanguage === 'JSONata') return await attemptJsonata(visit);
  const { name, state, input, context, signal } = visit;
  const { Type, Parameters, ResultSelector, ResultPath, OutputPath } = state;
  const data = { input: throughPath(state.InputPath, { input, context }), context };
  const isFilled = Parameters !== undefined && Type !== 'Map';
  const parameters = isFilled ? fillTemplate(Parameters, data) : data.input;
  refuseTooLarge(name, 'input', parameters);

  const next = Type === 'Choice' ? choose(state, data) : state.Next;
  const result = await resultOf(visit, parameters, data);
  signal.throwIfAborted();
  refuseTooLarge(name, 'output', result);

  const isSelected = ResultSelector !== undefined;
  const selected = isSelected ? fillTemplate(ResultSelector, { input: result, context }) : result;
  const output = throughPath(OutputPath, { input: placeResult(ResultPath, input, selected), context });
  refuseTooLarge(name, 'output', output);
  return { output, next };
}

/** Fills in Arguments, calls the task, fills in Output. */
async function attemptJsonata(visit: Visit): Promise<Outcome> {
  const { name, state, input, context, signal } = visit;
  const { Arguments, Output, Next: next } = state;
  const parameters = Arguments === undefined ? input : await fillJsonata(Arguments, { input, context });
  refuseTooLarge(name, 'input', parameters);
  const result = await callTask(visit, parameters, { input, context });
  signal.throwIfAborted();
  refuseTooLarge(name, 'output', result);
  const output = Output === undefined ? result : await fillJsonata(Output, { input, context, result });
  refuseTooLarge(name, 'output', output);
  return { output, next };
}

async function resultOf(visit: Visit, parameters: unknown, data: Data): Promise<unknown> {
  const { state, signal } = visit;
  switch (state.Type) {
    case 'Task':
      return await callTask(visit, parameters, data);
    case 'Map':
      return await runMap(visit, data);
    case 'Parallel': {
      const branches = state.Branches.map((level) => ({ level, input: parameters, context: data.context }));
      return await runTogether(visit, 'ParallelBranch', branches, branches.length);
    }
    case 'Wait':
      await visit.clock.sleep(secondsToWait(visit, data), signal, 'wait');
      return parameters;
    case 'Fail':
      throw failureOf(state, data);
    case 'Pass':
      return 'Result' in state ? state.Result : parameters;
    case 'Choice':
    case 'Succeed':
      return parameters;
  }
}

async function callTask(visit: Visit, parameters: unknown, data: Data): Promise<unknown> {
  const { Resource, TimeoutSeconds, TimeoutSecondsPath } = visit.state;
  const seconds = TimeoutSecondsPath === undefined ? TimeoutSeconds : integerAt(TimeoutSecondsPath, data, 1);
  const timeout = new AbortController();
  const cancelTimeout = timeOut(timeout, seconds);
  const signal = AbortSignal.any([visit.signal, timeout.signal]);
  try {
    const result = await unlessAborted(visit.callTask(Resource, parameters, signal), signal);
    return JSON.parse(JSON.stringify(result) ?? 'null');
  } finally {
    cancelTimeout();
  }
}

function secondsToWait({ state, clock }: Visit, data: Data): number {
  const { Seconds, SecondsPath, Timestamp, TimestampPath } = state;
  if (SecondsPath !== undefined) return integerAt(SecondsPath, data, 0);
  if (Seconds !== undefined) return Seconds;
  const written = TimestampPath === undefined ? Timestamp : valueAt(TimestampPath, data);
  const until = timestamp(written);
  if (until === undefined) throw new StatesRuntime(`${JSON.stringify(written)} is not a timestamp.`);
  return Math.max(0, until - clock.now()) / 1000;
}

function failureOf({ Error: error = '', ErrorPath, Cause: cause = '', CausePath }: State, data: Data): Error {
  const name = ErrorPath === undefined ? error : evaluate(ErrorPath, data);
  const why = CausePath === undefined ? cause : evaluate(CausePath, data);
  if (typeof name === 'string' && typeof why === 'string') {
    refuseTooLong(name, why);
    return new TaskError(name, why);
  }
  return new StatesRuntime('The Error and the Cause of a Fail state must be text.');
}

/** A Map iteration or a Parallel branch before it is run. */
type Inner = Data & { readonly level: Level };

async function runMap(visit: Visit, data: Data): Promise<unknown> {
  const { ItemsPath = '$', ItemSelector, Parameters, MaxConcurrency = 0, MaxConcurrencyPath } = visit.state;
  const level = visit.state.ItemProcessor ?? visit.state.Iterator;
  const items = valueAt(ItemsPath, data);
  if (level === undefined || !Array.isArray(items)) {
    throw new StatesRuntime(`The path '${ItemsPath}' must lead to an array of the items of the Map state.`);
  }
  const wanted = MaxConcurrencyPath === undefined ? MaxConcurrency : integerAt(MaxConcurrencyPath, data, 0);
  const selector = ItemSelector ?? Parameters;
  const iterations = items.map((item: unknown, index): Inner => {
    const context = { ...data.context, Map: { Item: { Index: index, Value: item } } };
    const input = selector === undefined ? item : fillTemplate(selector, { input: data.input, context });
    return { level, input, context };
  });
  const concurrent = Math.min(wanted || MOST_CONCURRENT, MOST_CONCURRENT);
  return await runTogether(visit, 'MapIteration', iterations, concurrent);
}

/** Runs iterations or branches, some at the same time. The first failure aborts the others, and no more are started. */
async function runTogether(
  visit: Visit,
  kind: 'MapIteration' | 'ParallelBranch',
  all: readonly Inner[],
  concurrent: number,
): Promise<unknown[]> {
  const others = new AbortController();
  const signal = AbortSignal.any([visit.signal, others.signal]);
  const outputs: unknown[] = new Array(all.length);
  const failures: Error[] = [];
  const waiting = all.entries();
  const worker = async () => {
    for (const [index, { level, input, context }] of waiting) {
      if (signal.aborted) return;
      const within = [...visit.within, { state: visit.name, index }];
      visit.report(`${kind}Started`, { within, input });
      try {
        const output = await runLevel(level, input, { ...visit, context, within, signal });
        outputs[index] = output;
        visit.report(`${kind}Succeeded`, { within, input, output });
      } catch (thrown) {
        const error = toError(thrown);
        failures.push(error);
        if (signal.aborted) visit.report(`${kind}Aborted`, { within, input });
        else visit.report(`${kind}Failed`, { within, input, error: error.name, cause: error.message });
        others.abort(new Aborted());
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(concurrent, all.length) }, worker));
  if (failures[0] !== undefined) throw failures[0];
  return outputs;
}

/** @throws the reason of the signal when it is aborted before the promise settles */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>();
  const abort = () => reject(signal.reason);
  signal.addEventListener('abort', abort, { once: true });
  return await Promise.race([promise, aborted]).finally(() => signal.removeEventListener('abort', abort));
}

/** Aborts with TimedOut after some seconds. Undefined: never. @returns a function that cancels it */
export function timeOut(controller: AbortController, seconds: number | undefined): () => void {
  if (seconds === undefined) return () => undefined;
  const milliseconds = Math.min(seconds * 1000, LONGEST_TIMER_MS);
  const timer = setTimeout(() => controller.abort(new TimedOut()), milliseconds);
  return () => clearTimeout(timer);
}
