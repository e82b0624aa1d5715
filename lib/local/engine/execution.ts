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
  /** Never rejects. Settles after the last event. */
  readonly result: Promise<ExecutionResult>;
  /** Like StopExecution: aborts nested executions too and enters no further state. A running function is not stopped. */
  abort(): void;
}
