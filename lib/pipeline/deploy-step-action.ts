import { Token } from 'aws-cdk-lib';
import type { CommonAwsActionProps } from 'aws-cdk-lib/aws-codepipeline';
import { StateMachineInput, StepFunctionInvokeAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import type { Construct } from 'constructs';
import type { z } from 'zod';
import { checkedInput, type executionInputSchema } from '../../lambdas/shared/execution-input.ts';
import { deployMachineOf, EXECUTION_NAME_PREFIX, type PipelineTarget } from './pipeline-target.ts';

/** The input of an execution of `deploy`. Every field is optional. */
export type DeployStepInput = z.input<typeof executionInputSchema>;

/** The environment to deploy and the input of the deploy. */
export interface DeployStepTarget extends PipelineTarget {
  /** @default {} the full deploy */
  readonly input?: DeployStepInput;
}

/** Properties of DeployStepAction. */
export interface DeployStepActionProps extends CommonAwsActionProps, DeployStepTarget {}

/** Two actions, or steps, around the deployment of the application. */
export interface HoldPair<Action> {
  /** Stops the services, migrates, builds, and leaves the services stopped. Place it before the deployment of the application. */
  readonly hold: Action;
  /** Starts the services. Place it after the deployment of the application. */
  readonly startServices: Action;
}

/** The inputs of the two. */
export function inputsOfPair(input: DeployStepInput = {}): HoldPair<DeployStepInput> {
  return { hold: { ...input, start: 'hold' }, startServices: { mode: 'start-services' } };
}

/** Their names: `Deploy-Step` becomes `Deploy-Step-Hold` and `Deploy-Step-Start-Services`. */
export function namesOfPair(name: string): HoldPair<string> {
  return { hold: `${name}-Hold`, startServices: `${name}-Start-Services` };
}

/**
 * An action of a CodePipeline that starts a deploy and waits until it ends. The action fails if the deploy fails. Place it
 * after the action that deploys the environment's stack.
 *
 * - The action refers to the state machine by its fixed name, so you can deploy the pipeline before the stack exists.
 * - If the environment is in another account, the CDK creates a role there in a stack of its own, which has to be deployed together with
 *   the stack of the pipeline. Give `role` (see PipelineRole) to use another one.
 * - CodePipeline waits for 7 days at most. Then it shows the action as failed, but the deploy continues.
 * - "Stop and abandon" stops the action, not the deploy: the deploy continues and starts the services. To stop the deploy
 *   as well, stop the execution of `deploy`, then start `start-services`.
 * - "Retry" starts a new deploy, which does only what is still missing. After "Stop and abandon", wait until the first
 *   deploy has ended.
 * - To deploy without the pipeline, start an execution of the deploy machine in the console with the input `{}`,
 *   `{"mode": "indexes"}` or `{"mode": "plan"}`.
 */
export class DeployStepAction extends StepFunctionInvokeAction {
  /**
   * Two actions for a pipeline that deploys the application: `hold` before that deployment, which then finds the services stopped, and
   * `startServices` after it. If nothing starts `startServices`, because the deployment has failed, the recovery starts the services
   * `holdMinutes` after the end of `hold`. "Retry" of `hold` holds them again.
   *
   * ```ts
   * const { hold, startServices } = DeployStepAction.pair(this, 'Prod', { actionName: 'Deploy-Step', environmentName: 'prod' });
   * ```
   * @param scope a construct of the pipeline's stack
   * @param id of the imported state machine, unique within `scope`
   * @param props `actionName` is followed by `-Hold` and `-Start-Services`. With `runOrder` N, which is that of `hold`, the other one
   * has N + 2, so that N + 1 in the same stage is between them.
   */
  static pair(scope: Construct, id: string, props: DeployStepActionProps): HoldPair<DeployStepAction> {
    const inputs = inputsOfPair(props.input);
    const names = namesOfPair(props.actionName);
    const { runOrder = 1 } = props;
    return {
      hold: new DeployStepAction(scope, `${id}Hold`, {
        ...props,
        ...{ actionName: names.hold, input: inputs.hold },
      }),
      startServices: new DeployStepAction(scope, `${id}StartServices`, {
        ...props,
        ...{ actionName: names.startServices, input: inputs.startServices },
        runOrder: runOrder + 2,
      }),
    };
  }

  /**
   * @param scope a construct of the pipeline's stack
   * @param id of the imported state machine, unique within `scope`
   */
  constructor(scope: Construct, id: string, props: DeployStepActionProps) {
    const { environmentName, namePrefix, input, account, region, ...action } = props;
    super({
      ...action,
      stateMachine: deployMachineOf(scope, id, props),
      // A wrong field fails the synth, not the first deploy.
      stateMachineInput: StateMachineInput.literal(checked(input ?? {})),
      executionNamePrefix: EXECUTION_NAME_PREFIX,
    });
  }
}

/**
 * @throws BadInput when a field is wrong. Names of indexes and services, and variables of the pipeline, are checked when the deploy
 * starts.
 */
function checked(input: DeployStepInput): DeployStepInput {
  const { taskDefinitions, ...others } = input;
  checkedInput({
    ...others,
    ...(taskDefinitions && {
      taskDefinitions: Object.fromEntries(
        Object.entries(taskDefinitions).map(([name, revision]) => [name, withoutVariables(revision)]),
      ),
    }),
  });
  return input;
}

/** Variables such as `#{Build.REVISION}`, and tokens of actions, have a value only in an execution of the pipeline. */
function withoutVariables(revision: unknown): unknown {
  if (typeof revision !== 'string') return revision;
  if (Token.isUnresolved(revision) || /^#\{[^}]+\}$/.test(revision)) return 'family:1';
  return revision.replaceAll(/#\{[^}]+\}/g, '1');
}
