import type { IStage } from 'aws-cdk-lib/aws-codepipeline';
import {
  type CodePipelineActionFactoryResult,
  type ICodePipelineActionFactory,
  type ProduceActionOptions,
  Step,
} from 'aws-cdk-lib/pipelines';
import { DeployStepAction, type DeployStepTarget } from './deploy-step-action.ts';

/**
 * A step of CDK Pipelines that runs the workflow of an environment: add it to the stage that deploys the environment's
 * stack, `pipeline.addStage(stage, { post: [new DeployStep('Deploy-Step', { environmentName })] })`.
 *
 * The state machine belongs to a stack of another stage, which a pipeline cannot refer to, so it is imported by its name
 * into the pipeline's stack. For time limits, stopping and running again see DeployStepAction.
 */
export class DeployStep extends Step implements ICodePipelineActionFactory {
  private readonly target: DeployStepTarget;

  /** @param id what the pipeline calls the action */
  constructor(id: string, target: DeployStepTarget) {
    super(id);
    this.target = target;
  }

  produceAction(stage: IStage, options: ProduceActionOptions): CodePipelineActionFactoryResult {
    stage.addAction(
      // A stage may have several of these steps, and all of them share its scope.
      new DeployStepAction(options.scope, `${options.actionName} Machine`, {
        ...this.target,
        actionName: options.actionName,
        runOrder: options.runOrder,
        ...(options.variablesNamespace !== undefined && { variablesNamespace: options.variablesNamespace }),
      }),
    );
    return { runOrdersConsumed: 1 };
  }
}
