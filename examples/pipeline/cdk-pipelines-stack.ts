import { Stack, type StackProps, Stage, type StageProps } from 'aws-cdk-lib';
import { PipelineType } from 'aws-cdk-lib/aws-codepipeline';
import { CodePipeline, CodePipelineSource, ShellStep } from 'aws-cdk-lib/pipelines';
import type { Construct } from 'constructs';
import {
  type Environment,
  EnvironmentStack,
  PipelineDeployStep,
  PipelinePlanApproval,
  PipelineRole,
  type PipelineTarget,
} from 'pg-deploy-step';
import type { Source } from './source.ts';

export interface CdkPipelinesStackProps extends StackProps {
  source: Source;
  /** Folder to which the paths in the environments are relative. */
  projectRoot: string;
  /** Each becomes a stage, in this order. They can be in other accounts, in which `cdk bootstrap --trust` has been run. */
  environments: Record<string, Environment>;
  /** Names of environments whose deploys are approved by a person, who sees the plan. */
  approved: readonly string[];
}

/** A self-mutating pipeline of CDK Pipelines. The workflow of an environment runs after the stage that deploys its stack. */
export class CdkPipelinesStack extends Stack {
  constructor(scope: Construct, id: string, props: CdkPipelinesStackProps) {
    const { source, projectRoot, environments, approved, ...stackProps } = props;
    super(scope, id, stackProps);
    const code = CodePipelineSource.connection(`${source.owner}/${source.repo}`, source.branch, {
      connectionArn: source.connectionArn,
    });
    const hasOtherAccount = Object.values(environments).some(({ account }) => account !== this.account);
    const pipeline = new CodePipeline(this, 'Pipeline', {
      pipelineName: id,
      pipelineType: PipelineType.V2,
      // CodePipeline needs a key for actions in other accounts.
      crossAccountKeys: hasOtherAccount,
      ...(hasOtherAccount && { enableKeyRotation: true }),
      synth: new ShellStep('Synth', {
        input: code,
        commands: ['npm ci', 'cd examples/pipeline', 'npx cdk synth --quiet'],
        primaryOutputDirectory: 'examples/pipeline/cdk.out',
      }),
    });
    for (const [environmentName, environment] of Object.entries(environments)) {
      const { account, region } = environment;
      const stage = new EnvironmentStage(this, environmentName, {
        ...{ environmentName, environment, projectRoot, pipelineAccount: this.account },
        env: { account, region },
      });
      const target: PipelineTarget = {
        environmentName,
        ...(account !== undefined && { account }),
        ...(region !== undefined && { region }),
      };
      const deploy = new PipelineDeployStep('Deploy-Step', target);
      const approvals = approved.includes(environmentName)
        ? [new PipelinePlanApproval('Deploy-Step', { ...target, input: code })]
        : [];
      for (const approval of approvals) deploy.addStepDependency(approval);
      pipeline.addStage(stage, { post: [...approvals, deploy] });
    }
  }
}

interface EnvironmentStageProps extends StageProps {
  environmentName: string;
  environment: Environment;
  projectRoot: string;
  pipelineAccount: string;
}

class EnvironmentStage extends Stage {
  constructor(scope: Construct, id: string, props: EnvironmentStageProps) {
    const { env, pipelineAccount, ...stackProps } = props;
    super(scope, id, { ...(env !== undefined && { env }) });
    const { environmentName, environment } = props;
    const stack = new EnvironmentStack(this, 'pg-deploy-step', {
      ...stackProps,
      stackName: `pg-deploy-step-${environmentName}`,
    });
    // The pipeline deploys this stack, and then starts the workflow with the role.
    if (environment.account !== pipelineAccount)
      new PipelineRole(stack, 'PipelineRole', { environmentName, pipelineAccount });
  }
}
