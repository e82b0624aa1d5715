import { ArnFormat, Stack } from 'aws-cdk-lib';
import { type IStateMachine, StateMachine } from 'aws-cdk-lib/aws-stepfunctions';
import type { Construct } from 'constructs';
import { machineNamesOf } from '../config/resource-names.ts';

/** The environment whose workflow a pipeline starts. */
export interface PipelineTarget {
  /** Name of the environment in cdk.json. Its stack is `pg-deploy-step-NAME`. */
  readonly environmentName: string;
  /** `stack.namePrefix` of the environment. @default none */
  readonly namePrefix?: string;
  /**
   * Account of the environment, 12 digits. If it is not the pipeline's account, the pipeline needs `crossAccountKeys`.
   * @default the pipeline's account
   */
  readonly account?: string;
  /** Region of the environment. @default the pipeline's region */
  readonly region?: string;
}

/** Prefix of the execution names: `pipeline-`, followed by the id of the action's execution. */
export const EXECUTION_NAME_PREFIX = 'pipeline';

/** The state machine `deploy` of the environment, by its fixed name. */
export function deployMachineOf(scope: Construct, id: string, target: PipelineTarget): IStateMachine {
  const name = machineNamesOf(target.environmentName, target.namePrefix).deploy;
  const { account, region } = target;
  if (account === undefined && region === undefined)
    return StateMachine.fromStateMachineName(scope, id, name);
  return StateMachine.fromStateMachineArn(scope, id, deployMachineArn(scope, target));
}

/** Its ARN. */
export function deployMachineArn(scope: Construct, target: PipelineTarget): string {
  return stepFunctionsArn(scope, target, 'stateMachine', '');
}

/** A pattern for the ARNs of the executions that pipelines start. */
export function pipelineExecutionsArn(scope: Construct, target: PipelineTarget): string {
  return stepFunctionsArn(scope, target, 'execution', `:${EXECUTION_NAME_PREFIX}*`);
}

function stepFunctionsArn(
  scope: Construct,
  target: PipelineTarget,
  resource: string,
  suffix: string,
): string {
  const { environmentName, namePrefix, account, region } = target;
  return Stack.of(scope).formatArn({
    service: 'states',
    resource,
    resourceName: `${machineNamesOf(environmentName, namePrefix).deploy}${suffix}`,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    ...(account !== undefined && { account }),
    ...(region !== undefined && { region }),
  });
}

/** Whether the environment is in another account than the pipeline. */
export function isInOtherAccount(scope: Construct, { account }: PipelineTarget): boolean {
  return account !== undefined && account !== Stack.of(scope).account;
}
