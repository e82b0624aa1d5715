import { randomUUID } from 'node:crypto';
import type { RunningExecution } from './aws/sfn-endpoint.ts';
import { checked } from './engine/checks.ts';
import { type EngineClock, REAL_CLOCK } from './engine/clock.ts';
import { type Level, type Machine, namesOf } from './engine/definition.ts';
import { Aborted, refuseTooLarge, TaskError, TimedOut, toError } from './engine/errors.ts';
import type { EngineEvent } from './engine/events.ts';
import { EventualValue } from './engine/eventual-value.ts';
import type { ExecutionResult, LocalExecution } from './engine/execution.ts';
import { type Run, runLevel, timeOut } from './engine/interpreter.ts';
import { call, canCall, type Lambdas, type Refuse, type Services } from './engine/tasks.ts';
import { ACCOUNT } from './local-arns.ts';
import { isAllowed } from './role-permissions.ts';

export { type EngineClock, REAL_CLOCK } from './engine/clock.ts';
export type { Machine } from './engine/definition.ts';
export type { EngineEvent } from './engine/events.ts';
export type { ExecutionResult, LocalExecution } from './engine/execution.ts';
export type { Refuse } from './engine/tasks.ts';

export interface LocalEngineOptions {
  readonly machines: readonly Machine[];
  /** Runs Lambda functions: a LambdaHost. */
  readonly lambdas: Lambdas;
  /** Runs SDK integrations, sns:publish and runTask.sync: a LocalAws. */
  readonly aws: Services;
  /** Receives every event of every execution, in order. */
  readonly onEvent?: (event: EngineEvent) => void;
  /** The clock of Wait states and of the pauses before retries. @default the real time */
  readonly clock?: EngineClock;
  /** Refuses calls of Task states before they reach the service, as a service that throttles does. @default none */
  readonly refuse?: Refuse;
  /**
   * How many reads of DescribeExecution, and how many of ListExecutions, do not show the start or the end of an execution yet:
   * both are eventually consistent. @default 0
   */
  readonly staleReads?: number;
}

type Status = 'RUNNING' | ExecutionResult['status'];

interface CheckedMachine extends Machine {
  readonly level: Level;
}

/** What DescribeExecution and ListExecutions show of an execution, and what runs it. An undefined status: not shown yet. */
interface Started extends RunningExecution {
  readonly machine: CheckedMachine;
  /** ARN of the execution that started this one. Null: no execution did. */
  readonly parent: string | null;
  readonly controller: AbortController;
  readonly input: unknown;
  readonly described: EventualValue<Status | undefined>;
  readonly listed: EventualValue<Status | undefined>;
}

/**
 * Runs synthesised state machines on this machine: JSONPath, inline Maps, Standard executions.
 * The constructor refuses definitions that the engine cannot run as AWS does.
 */
export class LocalEngine {
  /** The latest definitions, by the name of the state machine. */
  readonly #machines = new Map<string, CheckedMachine>();
  /** The published versions, by their ARN. */
  readonly #versions = new Map<string, CheckedMachine>();
  readonly #executions = new Map<string, Started>();
  readonly #running = new Set<LocalExecution>();
  readonly #services: { readonly lambdas: Lambdas; readonly aws: Services };
  readonly #onEvent: (event: EngineEvent) => void;
  readonly #clock: EngineClock;
  readonly #refuse: Refuse;
  readonly #staleReads: number;

  /** @throws Error naming the machine, the states and what the engine does not support */
  constructor({
    machines,
    lambdas,
    aws,
    onEvent = () => undefined,
    clock = REAL_CLOCK,
    refuse = () => undefined,
    staleReads = 0,
  }: LocalEngineOptions) {
    this.#services = { lambdas, aws };
    this.#onEvent = onEvent;
    this.#clock = clock;
    this.#refuse = refuse;
    this.#staleReads = staleReads;
    this.update(machines);
  }

  /**
   * Updates the state machines, as an update of the stack does. A running execution keeps its definition, but from now on it
   * has the permissions of the new role. A version that is not retained is deleted.
   * @throws Error naming the machine, the states and what the engine does not support; then nothing was updated
   */
  update(machines: readonly Machine[]): void {
    const updated = machines.map((machine) => this.#checked(machine));
    for (const [arn, { version }] of this.#versions) {
      if (version?.isRetained !== true) this.#versions.delete(arn);
    }
    this.#machines.clear();
    for (const machine of updated) {
      this.#machines.set(machine.name, machine);
      if (machine.version !== undefined)
        this.#versions.set(`${machine.arn}:${machine.version.number}`, machine);
    }
  }

  #checked(machine: Machine): CheckedMachine {
    try {
      const level = checked(machine.definition, (resource) => canCall(resource, this.#services));
      return { ...machine, level };
    } catch (error) {
      const why = toError(error).message;
      throw new Error(`The state machine ${machine.name} cannot run here. ${why}`, { cause: error });
    }
  }

  /**
   * Starts an execution.
   * @param options.name unique for its state machine @default a random name
   * @throws Error when the state machine does not exist, the name is taken or the input is over 256 KiB
   */
  start(machineName: string, input: unknown = {}, options: { name?: string } = {}): LocalExecution {
    const machine = this.#machines.get(machineName);
    if (machine !== undefined) return this.#start(machine, input, options.name, null);
    const known = [...this.#machines.keys()].join(', ');
    throw noSuchMachine(`State machine does not exist: "${machineName}". Machines here: ${known}.`);
  }

  /** Aborts an execution and its children, as StopExecution does. An execution that does not run is not changed. */
  stop(executionArn: string): void {
    this.#executions.get(executionArn)?.controller.abort(new Aborted());
  }

  /** Aborts all executions and waits until they have ended. */
  async close(): Promise<void> {
    for (const execution of this.#running) execution.abort();
    await Promise.all([...this.#running].map(({ result }) => result));
  }

  /** The running executions of a state machine, as ListExecutions shows them. */
  running(machineArn: string): RunningExecution[] {
    return [...this.#executions.values()].filter(
      (execution) => execution.machineArn === machineArn && execution.listed.read() === 'RUNNING',
    );
  }

  /** An execution as DescribeExecution shows it. Undefined: it does not exist, or is not shown yet. */
  describe(executionArn: string): (RunningExecution & { status: string }) | undefined {
    const execution = this.#executions.get(executionArn);
    const status = execution?.described.read();
    return execution === undefined || status === undefined ? undefined : { ...execution, status };
  }

  /** The states of all machines, those inside of Map and Parallel states included. */
  stateNames(): { machine: string; state: string }[] {
    return [...this.#machines.values()].flatMap(({ name, level }) =>
      namesOf(level).map((state) => ({ machine: name, state })),
    );
  }

  #start(
    machine: CheckedMachine,
    input: unknown,
    name: string = randomUUID(),
    parent: string | null,
  ): LocalExecution {
    const arn = `${machine.arn.replace(':stateMachine:', ':execution:')}:${name}`;
    if (!/^[^\s<>{}[\]?*"#%\\^|~`$&,;:/]{1,80}$/.test(name)) {
      throw new TaskError('StepFunctions.InvalidNameException', `Invalid Name: '${name}'`);
    }
    if (this.#executions.has(arn)) {
      const cause = `Execution Already Exists: '${arn}'`;
      throw new TaskError('StepFunctions.ExecutionAlreadyExistsException', cause);
    }
    refuseTooLarge(machine.name, 'input', input);
    const started: Started = {
      ...{ arn, name, machine, machineArn: machine.arn, parent, startedAt: Date.now() },
      ...{
        described: new EventualValue<Status | undefined>(undefined),
        listed: new EventualValue<Status | undefined>(undefined),
      },
      ...{ controller: new AbortController(), input: JSON.parse(JSON.stringify(input)) },
    };
    this.#executions.set(arn, started);
    const setStatus = (status: Status) => {
      for (const view of [started.described, started.listed]) view.change(status, this.#staleReads);
    };
    setStatus('RUNNING');
    const execution: LocalExecution = {
      ...{ arn, name, machine: machine.name },
      // In a later turn, so that the caller has the execution before its first event.
      result: Promise.resolve().then(() => this.#run(started)),
      abort: () => started.controller.abort(new Aborted()),
    };
    this.#running.add(execution);
    void execution.result.then(({ status }) => {
      setStatus(status);
      this.#running.delete(execution);
    });
    return execution;
  }

  async #run({
    machine,
    arn,
    name,
    parent,
    input,
    controller,
    startedAt,
  }: Started): Promise<ExecutionResult> {
    const { signal } = controller;
    const emit: Run['emit'] = (event) =>
      this.#onEvent({
        ...{ machine: machine.name, execution: name, parent, state: null, stateType: null, within: [] },
        ...{ ...event, at: new Date().toISOString() },
      });
    const RoleArn = `arn:aws:iam::${ACCOUNT}:role/local`;
    const StartTime = new Date(startedAt).toISOString();
    const context = {
      Execution: { Id: arn, Input: input, Name: name, RedriveCount: 0, RoleArn, StartTime },
      StateMachine: { Id: machine.arn, Name: machine.name },
    };
    const targets = {
      ...this.#services,
      isAllowed: (action: string, resource: string) => this.#isAllowed(machine.name, action, resource),
      refuse: this.#refuse,
      statusOf: (executionArn: string) => this.#executions.get(executionArn)?.described.read(),
      startChild: (childArn: string, childInput: unknown, childName: string | undefined) =>
        this.#start(this.#machineOf(childArn), childInput, childName, arn),
    };
    const callTask: Run['callTask'] = (resource, parameters, taskSignal) =>
      call(resource, parameters, taskSignal, targets);
    const cancelTimeout = timeOut(controller, machine.level.TimeoutSeconds);
    try {
      emit({ type: 'ExecutionStarted', input });
      const run: Run = { context, signal, within: [], emit, callTask, clock: this.#clock };
      const output = await runLevel(machine.level, input, run);
      emit({ type: 'ExecutionSucceeded', output });
      return { status: 'SUCCEEDED', output };
    } catch (thrown) {
      const { name: error, message: cause } = toError(thrown);
      if (!signal.aborted) {
        emit({ type: 'ExecutionFailed', error, cause });
        return { status: 'FAILED', error, cause };
      }
      if (signal.reason instanceof TimedOut) {
        emit({ type: 'ExecutionTimedOut', error });
        return { status: 'TIMED_OUT', error };
      }
      emit({ type: 'ExecutionAborted' });
      return { status: 'ABORTED' };
    } finally {
      cancelTimeout();
    }
  }

  /** An execution keeps its definition, but not the permissions that the role had when it started. */
  #isAllowed(machineName: string, action: string, resource: string): boolean {
    const permissions = this.#machines.get(machineName)?.permissions;
    return permissions === undefined || isAllowed(permissions, action, resource);
  }

  /** @param arn of a state machine, which stands for its latest definition, or of a version */
  #machineOf(arn: string): CheckedMachine {
    const machine =
      this.#versions.get(arn) ?? [...this.#machines.values()].find((known) => known.arn === arn);
    if (machine !== undefined) return machine;
    throw noSuchMachine(`State Machine Does Not Exist: '${arn}'`);
  }
}

function noSuchMachine(cause: string): TaskError {
  return new TaskError('StepFunctions.StateMachineDoesNotExistException', cause);
}
