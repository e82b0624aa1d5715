import { Annotations } from 'aws-cdk-lib';
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
import { PipelineRole } from './pipeline-role.ts';
import { isInOtherAccount, type PipelineTarget } from './pipeline-target.ts';

/**
 * A step of CDK Pipelines that starts a deploy. Add it to the stage that deploys the environment's stack:
 * `pipeline.addStage(stage, { post: [new PipelineDeployStep('Deploy-Step', { environmentName })] })`.
 *
 * A pipeline cannot refer to a resource in a stack of a stage, so the step refers to the state machine by its name. For
 * time limits, stopping and retrying see DeployStepAction.
 *
 * If the environment is in another account, give `account`, and add a PipelineRole to the stack of the environment.
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
    const { actionName, runOrder, scope, variablesNamespace } = options;
    warnOfNoRole(stage, this.target);
    stage.addAction(
      // The ids contain the name of the action, because all steps of a stage have the same scope.
      new DeployStepAction(scope, `${actionName} Machine`, {
        ...this.target,
        ...(isInOtherAccount(scope, this.target) && {
          role: PipelineRole.of(scope, `${actionName} Role`, this.target),
        }),
        ...{ actionName, runOrder },
        ...(variablesNamespace !== undefined && { variablesNamespace }),
      }),
    );
    return { runOrdersConsumed: 1 };
  }
}

/** The role can be part of another app, so this is no error. */
export function warnOfNoRole({ pipeline }: IStage, target: PipelineTarget): void {
  if (!isInOtherAccount(pipeline, target)) return;
  const constructs = pipeline.node.root.node.findAll();
  if (constructs.some((one) => one instanceof PipelineRole && one.isFor(target))) return;
  Annotations.of(pipeline).addWarningV2(
    `pg-deploy-step:pipelineRole:${target.environmentName}`,
    `No PipelineRole of the environment ${target.environmentName} in the account ${target.account} is part of this app. Without it, the step cannot ` +
      `start the deploy: add new PipelineRole(stack, 'PipelineRole', { environmentName: '${target.environmentName}', pipelineAccount }) to a stack of that account.`,
  );
}
