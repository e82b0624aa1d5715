import {
  Choice,
  Condition,
  type IChainable,
  JsonPath,
  type StateMachine,
} from 'aws-cdk-lib/aws-stepfunctions';
import type { StepFunctionsStartExecution } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';
import type { BuildScope } from '../../lambdas/shared/payloads.ts';
import { startExecution } from './start-execution.ts';

export interface BuildRoundsProps {
  /** Names of the state that builds a round, and of the one that asks for another. */
  build: string;
  more: string;
  machine: StateMachine;
  scope: BuildScope;
  /** More fields of the input, such as `windowStartedAt`. */
  input?: Record<string, unknown>;
  comment: string;
  after: IChainable;
}

/**
 * Runs `build-indexes` until nothing remains to be tried. Each round is an execution of its own, so that no registry is
 * too large for one history. Reads `$.deploy` and `$.indexes`; leaves the last plan in `$.builds.output`.
 */
export function buildRounds(scope: Construct, props: BuildRoundsProps): StepFunctionsStartExecution {
  const build = startExecution(scope, props.build, {
    machine: props.machine,
    comment: props.comment,
    input: {
      deploy: JsonPath.stringAt('$.deploy'),
      indexes: JsonPath.listAt('$.indexes'),
      scope: props.scope,
      ...props.input,
    },
    resultPath: '$.builds',
  });
  build.next(
    new Choice(scope, props.more)
      .when(Condition.stringEquals('$.builds.output.decision', 'build'), build)
      .otherwise(props.after),
  );
  return build;
}
