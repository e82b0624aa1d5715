import { ArnFormat, Aws, Duration, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { JsonPath, Timeout } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { RawTaskState } from './raw-task-state.ts';
import { THROTTLED_CHILD_RETRY } from './retry-and-catch.ts';
import type { WorkflowMachine } from './workflow-machine.ts';

export interface StartExecutionProps {
  machine: Pick<WorkflowMachine, 'machineName' | 'stateMachineArn' | 'versionArn'>;
  input: Record<string, unknown>;
  /** The output of the child is written to `output` below this path. */
  resultPath: string;
  comment: string;
  /** @default longer than any execution of a child */
  timeout?: Duration;
}

/**
 * A state that runs another state machine until it ends. Every failure of the child, also a time-out or States.Runtime, is
 * an error of this state, which a Catch can handle. It starts the version of the same generation, also after an update of
 * the stack.
 *
 * The CDK's class for this integration would allow the executions of every machine whose name begins like this one's:
 * also those of the environment `prod-build-indexes`, for the machine `build-indexes` of the environment `prod`.
 */
export function startExecution(scope: Construct, id: string, props: StartExecutionProps): RawTaskState {
  const state = new RawTaskState(scope, id, {
    comment: props.comment,
    resource: `arn:${Aws.PARTITION}:states:::states:startExecution.sync:2`,
    parameters: startParameters(props),
    // The whole output, because a path to a missing field in it would fail the parent with States.Runtime.
    resultSelector: { 'output.$': '$.Output' },
    resultPath: props.resultPath,
    taskTimeout: Timeout.duration(props.timeout ?? Duration.days(8)),
    policies: mayRun(scope, props.machine),
  });
  state.addRetry(THROTTLED_CHILD_RETRY);
  return state;
}

/**
 * A state that starts another state machine and continues at once. The execution ends by itself, also if this one is aborted. Its ARN
 * is written to `execution` below `resultPath`.
 */
export function startDetached(
  scope: Construct,
  id: string,
  props: Omit<StartExecutionProps, 'timeout'>,
): RawTaskState {
  const state = new RawTaskState(scope, id, {
    comment: props.comment,
    resource: `arn:${Aws.PARTITION}:states:::states:startExecution`,
    parameters: startParameters(props),
    resultSelector: { 'execution.$': '$.ExecutionArn' },
    resultPath: props.resultPath,
    taskTimeout: Timeout.duration(Duration.minutes(2)),
    policies: [mayStart(props.machine)],
  });
  state.addRetry(THROTTLED_CHILD_RETRY);
  return state;
}

function startParameters({ input, machine }: Pick<StartExecutionProps, 'input' | 'machine'>) {
  return {
    Input: { ...input, AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID: JsonPath.executionId },
    StateMachineArn: machine.versionArn,
  };
}

/**
 * A state that runs a child execution of the state machine that it belongs to, with the newest definition. The definition
 * and the policies name it by its fixed name, because a reference to itself would be circular.
 */
export function startOwnExecution(
  scope: Construct,
  id: string,
  { machineName, ...props }: Omit<StartExecutionProps, 'machine'> & { machineName: string },
): RawTaskState {
  const stateMachineArn = Stack.of(scope).formatArn({
    service: 'states',
    resource: 'stateMachine',
    resourceName: machineName,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
  return startExecution(scope, id, {
    ...props,
    machine: { machineName, stateMachineArn, versionArn: stateMachineArn },
  });
}

/** The ARN of all executions of one state machine, and of no other: a name contains no colon. */
export function executionsArn(scope: Construct, machineName: string): string {
  return Stack.of(scope).formatArn({
    service: 'states',
    resource: 'execution',
    resourceName: `${machineName}:*`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

/** IAM knows a state machine, not its versions: this covers the versions of earlier generations too. */
function mayStart({ stateMachineArn }: StartExecutionProps['machine']): PolicyStatement {
  return new PolicyStatement({ actions: ['states:StartExecution'], resources: [stateMachineArn] });
}

function mayRun(scope: Construct, machine: StartExecutionProps['machine']): PolicyStatement[] {
  return [
    mayStart(machine),
    new PolicyStatement({
      actions: ['states:DescribeExecution', 'states:StopExecution'],
      resources: [executionsArn(scope, machine.machineName)],
    }),
    new PolicyStatement({
      actions: ['events:PutTargets', 'events:PutRule', 'events:DescribeRule'],
      // Step Functions uses this one rule to wait for the end of a child execution.
      resources: [
        Stack.of(scope).formatArn({
          service: 'events',
          resource: 'rule',
          resourceName: 'StepFunctionsGetEventsForStepFunctionsExecutionRule',
        }),
      ],
    }),
  ];
}
