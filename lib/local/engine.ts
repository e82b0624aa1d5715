import { randomUUID } from 'node:crypto';
import { ExecutionTimeoutError, StateMachine } from 'aws-local-stepfunctions';
import type { RunningExecution } from './aws/sfn-endpoint.ts';
import { contextOf } from './engine/context.ts';
import { type Definition, type Level, prepare } from './engine/definition.ts';
import { Aborted, DataLimitExceeded, isTooLarge, TaskError } from './engine/errors.ts';
import { type EngineEvent, toEngineEvent } from './engine/events.ts';
import { runLevel } from './engine/level.ts';
import { callTask, isSupported, type Lambdas, type Services, type TaskTargets } from './engine/tasks.ts';

export type { EngineEvent, Place } from './engine/events.ts';

export interface Machine {
  readonly name: string;
  readonly arn: string;
  readonly definition: Definition;
}

export interface LocalEngineOptions {
  readonly machines: readonly Machine[];
  /** What arn:aws:states:::lambda:invoke reaches: a LambdaHost. */
  readonly lambdas: Lambdas;
  /** What SDK integrations and sns:publish reach: a LocalAws. */
  readonly aws: Services;
  /** Told of every event of every execution, in order. */
  readonly onEvent?: (event: EngineEvent) => void;
}

/** What DescribeExecution and ListExecutions tell of an execution. */
interface Described extends RunningExecution {
  status: 'RUNNING' | ExecutionResult['status'];
}

export interface ExecutionResult {
  readonly status: 'SUCCEEDED' | 'FAILED' | 'ABORTED' | 'TIMED_OUT';
  readonly output?: unknown;
  readonly error?: string;
  readonly cause?: string;
}

export interface LocalExecution {
  readonly arn: string;
  readonly name: string;
  readonly machine: string;
  /** Never rejects. Settles after the last event has been told. */
  readonly result: Promise<ExecutionResult>;
  /** As StopExecution: children are stopped too, later states are not entered, a function in flight goes on unheard. */
  abort(): void;
}

/**
 * Runs synthesised state machines on this machine with aws-local-stepfunctions, in JSONPath with inline Maps.
 * What neither it nor this engine can do as AWS does is refused when the engine is made.
 */
export class LocalEngine {
  readonly #machines = new Map<string, { machine: Machine; level: Level }>();
  readonly #executions = new Map<string, Described>();
  readonly #running = new Set<LocalExecution>();
  readonly #targets: Omit<TaskTargets, 'startChild' | 'statusOf'>;
  readonly #onEvent: (event: EngineEvent) => void;

  /** @throws Error naming the machine, the state and what is not known */
  constructor({ machines, lambdas, aws, onEvent = () => undefined }: LocalEngineOptions) {
    this.#targets = { lambdas, aws };
    this.#onEvent = onEvent;
    for (const machine of machines) {
      try {
        // Checks the definition as CreateStateMachine would.
        new StateMachine(machine.definition as never);
        const level = prepare(machine.definition);
        this.#refuseUnknownTasks(level);
        this.#machines.set(machine.name, { machine, level });
      } catch (error) {
        const why = error instanceof Error ? error.message : String(error);
        throw new Error(`The state machine ${machine.name} cannot run here. ${why}`, { cause: error });
      }
    }
  }

  /**
   * Starts an execution.
   * @param options.name unique in its machine @default a random one
   * @throws Error when there is no such machine, the name is taken or the input is over 256 KiB
   */
  start(machineName: string, input: unknown = {}, options: { name?: string } = {}): LocalExecution {
    return this.#start(machineName, input, options.name, null);
  }

  /** Aborts all executions and waits until they have ended. */
  async close(): Promise<void> {
    for (const execution of this.#running) execution.abort();
    await Promise.all([...this.#running].map(({ result }) => result));
  }

  /** The executions of a state machine that run now, as ListExecutions tells them. */
  running(machineArn: string): RunningExecution[] {
    return [...this.#executions.values()].filter(
      (execution) => execution.status === 'RUNNING' && execution.machineArn === machineArn,
    );
  }

  #start(
    machineName: string,
    input: unknown,
    wanted: string | undefined,
    parent: string | null,
  ): LocalExecution {
    const found = this.#machines.get(machineName);
    if (found === undefined) {
      throw new TaskError(
        'StepFunctions.StateMachineDoesNotExistException',
        `State machine does not exist: "${machineName}". Machines here: ${[...this.#machines.keys()].join(', ')}.`,
      );
    }
    const name = wanted ?? randomUUID();
    const arn = `${found.machine.arn.replace(':stateMachine:', ':execution:')}:${name}`;
    if (!/^[^\s<>{}[\]?*"#%\\^|~`$&,;:/]{1,80}$/.test(name)) {
      throw new TaskError('StepFunctions.InvalidNameException', `Invalid Name: '${name}'`);
    }
    if (this.#executions.has(arn)) {
      throw new TaskError(
        'StepFunctions.ExecutionAlreadyExistsException',
        `Execution Already Exists: '${arn}'`,
      );
    }
    if (isTooLarge(input)) throw new DataLimitExceeded(machineName, 'input', { retry: false, catch: false });
    const described: Described = {
      arn,
      name,
      machineArn: found.machine.arn,
      startedAt: Date.now(),
      status: 'RUNNING',
    };
    this.#executions.set(arn, described);
    const aborted = new AbortController();
    const copy: unknown = JSON.parse(JSON.stringify(input));
    // In a turn of its own, so that the caller has the execution before its first event.
    const result = Promise.resolve().then(() =>
      this.#run(found, { arn, name, parent }, copy, aborted.signal),
    );
    const execution = { arn, name, machine: machineName, result, abort: () => aborted.abort() };
    this.#running.add(execution);
    void result.then(({ status }) => {
      described.status = status;
      this.#running.delete(execution);
    });
    return execution;
  }

  async #run(
    { machine, level }: { machine: Machine; level: Level },
    { arn, name, parent }: { arn: string; name: string; parent: string | null },
    input: unknown,
    signal: AbortSignal,
  ): Promise<ExecutionResult> {
    const whose = { machine: machine.name, execution: name, parent };
    const tell = (type: EngineEvent['type'], more: Partial<EngineEvent>) =>
      this.#onEvent({
        ...{ ...whose, type, state: null, stateType: null, within: [] },
        ...{ at: new Date().toISOString(), ...more },
      });
    const targets: TaskTargets = {
      ...this.#targets,
      statusOf: (arn) => this.#executions.get(arn)?.status,
      startChild: (childArn, childInput, childName) =>
        this.#start(this.#nameOf(childArn), childInput, childName, arn),
    };
    try {
      tell('ExecutionStarted', { input });
      if (signal.aborted) throw new Aborted();
      const output = await runLevel(level, input, {
        context: contextOf(machine, arn, name, input),
        signal,
        within: [],
        emit: (event) => this.#onEvent({ ...whose, ...toEngineEvent(event) }),
        callTask: (resource, parameters, ended) => callTask(resource, parameters, ended, targets),
      });
      tell('ExecutionSucceeded', { output });
      return { status: 'SUCCEEDED', output };
    } catch (error) {
      if (error instanceof Aborted) {
        tell('ExecutionAborted', {});
        return { status: 'ABORTED' };
      }
      if (error instanceof ExecutionTimeoutError) {
        tell('ExecutionTimedOut', { error: 'States.Timeout' });
        return { status: 'TIMED_OUT', error: 'States.Timeout' };
      }
      const failure =
        error instanceof Error
          ? { error: error.name, cause: error.message }
          : { error: 'States.Runtime', cause: String(error) };
      tell('ExecutionFailed', failure);
      return { status: 'FAILED', ...failure };
    }
  }

  #nameOf(arn: string): string {
    for (const { machine } of this.#machines.values()) {
      if (machine.arn === arn) return machine.name;
    }
    throw new TaskError(
      'StepFunctions.StateMachineDoesNotExistException',
      `State Machine Does Not Exist: '${arn}'`,
    );
  }

  /** The states of all machines, those inside of Map and Parallel included. */
  stateNames(): { machine: string; state: string }[] {
    return [...this.#machines.values()].flatMap(({ machine, level }) =>
      namesOf(level).map((state) => ({ machine: machine.name, state })),
    );
  }

  #refuseUnknownTasks(level: Level): void {
    for (const [name, { step }] of level.steps) {
      if (step.kind === 'map') this.#refuseUnknownTasks(step.processor);
      if (step.kind === 'parallel') for (const branch of step.branches) this.#refuseUnknownTasks(branch);
      if (step.kind !== 'task') continue;
      if (!isSupported(step.resource, this.#targets)) {
        throw new Error(`The state "${name}" calls ${step.resource}, which nothing here can answer.`);
      }
    }
  }
}

function namesOf(level: Level): string[] {
  return [...level.steps].flatMap(([name, { step }]) => {
    if (step.kind === 'map') return [name, ...namesOf(step.processor)];
    if (step.kind === 'parallel') return [name, ...step.branches.flatMap(namesOf)];
    return [name];
  });
}
