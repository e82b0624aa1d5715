import type { IStage } from 'aws-cdk-lib/aws-codepipeline';
import {
  type CodePipelineActionFactoryResult,
  type FileSet,
  type ICodePipelineActionFactory,
  type IFileSetProducer,
  type ProduceActionOptions,
  Step,
} from 'aws-cdk-lib/pipelines';
import { warnOfNoRole } from './pipeline-deploy-step.ts';
import type { PipelineTarget } from './pipeline-target.ts';
import { type ApprovalOptions, PlanApproval } from './plan-approval.ts';

/** Properties of PipelinePlanApproval. */
export interface PipelinePlanApprovalProps extends PipelineTarget, ApprovalOptions {
  /** Any files, such as those of the source or the synth step: CodeBuild does not start without. They are not read. */
  readonly input: IFileSetProducer;
}

/**
 * Plan, then manual approval, as a step of CDK Pipelines: see PlanApproval. The deploy depends on it.
 *
 * ```ts
 * const approval = new PipelinePlanApproval('Deploy-Step', { environmentName: 'prod', input: source });
 * const deploy = new PipelineDeployStep('Deploy-Step', { environmentName: 'prod' });
 * deploy.addStepDependency(approval);
 * pipeline.addStage(stage, { post: [approval, deploy] });
 * ```
 */
export class PipelinePlanApproval extends Step implements ICodePipelineActionFactory {
  private readonly target: PipelineTarget & ApprovalOptions;
  private readonly files: FileSet;

  /**
   * @param id begins the names of the actions
   * @throws Error when `input` has no files
   */
  constructor(id: string, { input, ...target }: PipelinePlanApprovalProps) {
    super(`${id}-Approval`);
    this.target = target;
    if (input.primaryOutput === undefined) {
      throw new Error(
        `${id}: the input of PipelinePlanApproval has no output. Give the source of the pipeline or its synth step.`,
      );
    }
    this.files = input.primaryOutput;
    this.addDependencyFileSet(this.files);
  }

  produceAction(stage: IStage, options: ProduceActionOptions): CodePipelineActionFactoryResult {
    const { actionName, artifacts, runOrder, scope } = options;
    warnOfNoRole(stage, this.target);
    const { actions } = new PlanApproval(scope, actionName, {
      ...this.target,
      ...{ actionName: actionName.replace(/-Approval$/, ''), runOrder },
      input: artifacts.toCodePipeline(this.files),
    });
    for (const action of actions) stage.addAction(action);
    return { runOrdersConsumed: actions.length };
  }
}
