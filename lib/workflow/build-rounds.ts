import { Choice, Condition, type IChainable, JsonPath } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { BuildScope } from '../../lambdas/shared/build-payloads.ts';
import type { RawTaskState } from './raw-task-state.ts';
import { startExecution } from './start-execution.ts';
import type { WorkflowMachine } from './workflow-machine.ts';

/** The failures that earlier rounds could not write to the ledger, wherever their output is in the state. */
export const UNRECORDED_FAILURES = '$..unrecordedFailures[*]';

/** The errors of batches in earlier rounds: after some, the deploy makes no more batches. */
const FAILED_BATCHES = '$..failedBatches[*]';

export interface BuildRoundsProps {
  /** Name of the state that builds one round. */
  build: string;
  /** Name of the choice whether another round follows. */
  more: string;
  machine: WorkflowMachine;
  scope: BuildScope;
  /** Additional fields of the input, such as `windowStartedAt`. */
  input?: Record<string, unknown>;
  comment: string;
  /** States before each round, which end with the build. @default none */
  before?: (build: RawTaskState) => IChainable;
  after: IChainable;
}

export interface BuildRounds {
  /** The first state. */
  first: IChainable;
  /** The state that builds one round. */
  build: RawTaskState;
}

/**
 * Runs `build-indexes` until no build remains. Each round is a separate execution, so that a large registry does not
 * exceed the limit of one execution history. Reads `$.deploy` and `$.indexes`, writes the last plan to `$.builds.output`.
 */
export function buildRounds(scope: Construct, props: BuildRoundsProps): BuildRounds {
  const build = startExecution(scope, props.build, {
    machine: props.machine,
    comment: props.comment,
    input: {
      deploy: JsonPath.stringAt('$.deploy'),
      indexes: JsonPath.listAt('$.indexes'),
      scope: props.scope,
      // Of all earlier rounds: this one does not attempt these builds again. The path gives an empty list where it finds nothing.
      unrecordedFailures: JsonPath.listAt(UNRECORDED_FAILURES),
      failedBatches: JsonPath.listAt(FAILED_BATCHES),
      ...props.input,
    },
    resultPath: '$.builds',
  });
  const first = props.before?.(build) ?? build;
  build.next(
    new Choice(scope, props.more)
      .when(Condition.stringEquals('$.builds.output.decision', 'build'), first)
      .otherwise(props.after),
  );
  return { first, build };
}
