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
  /** The child's output comes to `output` below it. */
  resultPath: string;
  comment: string;
}

/**
 * A state that runs a child machine to its end. A child's failure of any kind, time-outs and States.Runtime included,
 * arrives here as an error that can be caught.
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
    // The whole output, unread: a path into it that is not there would fail the parent with States.Runtime.
    resultSelector: { 'output.$': '$.Output' },
    resultPath: props.resultPath,
    taskTimeout: Timeout.duration(Duration.days(8)),
  });
}
