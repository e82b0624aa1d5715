import type { IStage } from 'aws-cdk-lib/aws-codepipeline';
import {
  type CodePipelineActionFactoryResult,
  type ICodePipelineActionFactory,
  type ProduceActionOptions,
  Step,
} from 'aws-cdk-lib/pipelines';
import {
  DeployStepAction,
  type DeployStepTarget,
  type HoldPair,
  inputsOfPair,
  namesOfPair,
} from './deploy-step-action.ts';

/**
 * A step of CDK Pipelines that starts a deploy. Add it to the stage that deploys the environment's stack:
 * `pipeline.addStage(stage, { post: [new PipelineDeployStep('Deploy-Step', { environmentName })] })`.
 *
 * A pipeline cannot refer to a resource in a stack of a stage, so the step refers to the state machine by its name. For
 * time limits, stopping and retrying see DeployStepAction.
 */
export class PipelineDeployStep extends Step implements ICodePipelineActionFactory {
  /**
   * Two steps around the stage that deploys the application, which then finds the services stopped:
   * `const { hold, startServices } = PipelineDeployStep.pair('Deploy-Step', { environmentName })`, and
   * `pipeline.addStage(application, { pre: [hold], post: [startServices] })`. The stack of the environment must exist before: deploy it
   * in an earlier stage. If the deployment of the application fails, the recovery starts the services after `holdMinutes`.
   * @param id is followed by `-Hold` and `-Start-Services`
   */
  static pair(id: string, target: DeployStepTarget): HoldPair<PipelineDeployStep> {
    const [names, inputs] = [namesOfPair(id), inputsOfPair(target.input)];
    return {
      hold: new PipelineDeployStep(names.hold, { ...target, input: inputs.hold }),
      startServices: new PipelineDeployStep(names.startServices, {
        ...target,
        input: inputs.startServices,
      }),
    };
  }

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
