import { Duration } from 'aws-cdk-lib';
import {
  IntegrationPattern,
  JsonPath,
  type StateMachine,
  TaskInput,
  Timeout,
} from 'aws-cdk-lib/aws-stepfunctions';
import { StepFunctionsStartExecution } from 'aws-cdk-lib/aws-stepfunctions-tasks';
import type { Construct } from 'constructs';

export interface StartExecutionProps {
  machine: StateMachine;
  input: Record<string, unknown>;
  /** The output of the child is written to `output` below this path. */
  resultPath: string;
  comment: string;
}

/**
 * A state that runs another state machine until it ends. Every failure of the child, also a time-out or States.Runtime, is
 * an error of this state, which a Catch can handle.
 */
export function startExecution(
  scope: Construct,
  id: string,
  props: StartExecutionProps,
): StepFunctionsStartExecution {
  return new StepFunctionsStartExecution(scope, id, {
    comment: props.comment,
    stateMachine: props.machine,
    integrationPattern: IntegrationPattern.RUN_JOB,
    input: TaskInput.fromObject({
      ...props.input,
      AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID: JsonPath.executionId,
    }),
    // The whole output, because a path to a missing field in it would fail the parent with States.Runtime.
    resultSelector: { 'output.$': '$.Output' },
    resultPath: props.resultPath,
    taskTimeout: Timeout.duration(Duration.days(8)),
  });
}
