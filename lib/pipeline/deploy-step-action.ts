import { ArnFormat, Stack } from 'aws-cdk-lib';
import type { CommonAwsActionProps } from 'aws-cdk-lib/aws-codepipeline';
import { StateMachineInput, StepFunctionInvokeAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import { type IStateMachine, StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import type { z } from 'zod';
import type { executionInputSchema } from '../../lambdas/shared/execution-input.ts';
import { machineNamesOf } from '../config/machine-names.ts';

/** What an execution of `deploy` is started with: `mode`, `indexes`, `force`, each of them optional. */
export type DeployStepInput = z.input<typeof executionInputSchema>;

/** Begins the names of the executions that a pipeline starts: `pipeline-` and the id of the action's execution. */
export const EXECUTION_NAME_PREFIX = 'pipeline';

/** Where the workflow is and what it is started with. */
export interface DeployStepTarget {
  /** Name of the environment, as in cdk.json: its stack is `pg-deploy-step-NAME`. */
  readonly environmentName: string;
  /** @default {} the full deploy */
  readonly input?: DeployStepInput;
  /**
   * Account of the environment, twelve digits. Another one than the pipeline's needs a pipeline with `crossAccountKeys`.
   * @default the pipeline's account
   */
  readonly account?: string;
  /** Region of the environment. @default the pipeline's region */
  readonly region?: string;
}

export interface DeployStepActionProps extends CommonAwsActionProps, DeployStepTarget {}

/**
 * An action of a CodePipeline that runs the workflow of an environment and is over when the workflow is: it fails where
 * the deploy fails. Put it behind the action that deploys the environment's stack.
 *
 * - The machine is imported by its fixed name, so the pipeline may be deployed before the environment's first stack.
 * - CodePipeline waits for 7 days. A longer deploy goes on by itself; the pipeline shows it as failed.
 * - "Stop and abandon" ends the action and not the workflow: the execution goes on to its end, services are started
 *   again. To end that too, stop the execution of `deploy` itself, then start `start-services`.
 * - "Retry" starts a new execution, which does what is still missing and nothing twice. After "stop and abandon" let the
 *   execution that was left running end first.
 * - Without the pipeline: start an execution of the deploy machine in the console, with `{}`, `{"mode": "indexes"}` or
 *   `{"mode": "plan"}`.
 */
export class DeployStepAction extends StepFunctionInvokeAction {
  /**
   * @param scope a construct of the pipeline's stack
   * @param id of the imported state machine, unique within `scope`
   */
  constructor(scope: Construct, id: string, props: DeployStepActionProps) {
    const { environmentName, input, account, region, ...action } = props;
    super({
      ...action,
      stateMachine: deployMachineOf(scope, id, props),
      stateMachineInput: StateMachineInput.literal(input ?? {}),
      executionNamePrefix: EXECUTION_NAME_PREFIX,
    });
  }
}

function deployMachineOf(scope: Construct, id: string, target: DeployStepTarget): IStateMachine {
  const name = machineNamesOf(target.environmentName).deploy;
  const { account, region } = target;
  if (account === undefined && region === undefined)
    return StateMachine.fromStateMachineName(scope, id, name);
  const arn = Stack.of(scope).formatArn({
    service: 'states',
    resource: 'stateMachine',
    resourceName: name,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    ...(account !== undefined && { account }),
    ...(region !== undefined && { region }),
  });
  return StateMachine.fromStateMachineArn(scope, id, arn);
}
