import type { IStage } from 'aws-cdk-lib/aws-codepipeline';
import {
  type CodePipelineActionFactoryResult,
  type ICodePipelineActionFactory,
  type ProduceActionOptions,
  Step,
} from 'aws-cdk-lib/pipelines';
import { DeployStepAction, type DeployStepTarget } from './deploy-step-action.ts';

/**
 * A step of CDK Pipelines that starts a deploy. Add it to the stage that deploys the environment's stack:
 * `pipeline.addStage(stage, { post: [new PipelineDeployStep('Deploy-Step', { environmentName })] })`.
 *
 * A pipeline cannot refer to a resource in a stack of a stage, so the step refers to the state machine by its name. For
 * time limits, stopping and retrying see DeployStepAction.
 */
export class PipelineDeployStep extends Step implements ICodePipelineActionFactory {
  private readonly target: DeployStepTarget;

  /** @param id name of the action in the pipeline */
  constructor(id: string, target: DeployStepTarget) {
    super(id);
    this.target = target;
  }

  produceAction(stage: IStage, options: ProduceActionOptions): CodePipelineActionFactoryResult {
    stage.addAction(
      // The ids contain the name of the action, because all steps of a stage have the same scope.
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
