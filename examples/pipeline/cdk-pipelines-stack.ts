import { Stack, type StackProps, Stage, type StageProps } from 'aws-cdk-lib';
import { PipelineType } from 'aws-cdk-lib/aws-codepipeline';
import { CodePipeline, CodePipelineSource, ShellStep } from 'aws-cdk-lib/pipelines';
import type { Construct } from 'constructs';
import { type Environment, EnvironmentStack, PipelineDeployStep } from 'pg-deploy-step';
import type { Source } from './source.ts';

interface EnvironmentProps {
  environmentName: string;
  environment: Environment;
  projectRoot: string;
}

export interface CdkPipelinesStackProps extends StackProps, EnvironmentProps {
  source: Source;
}

/** A self-mutating pipeline of CDK Pipelines. The workflow runs after the stage that deploys its stack. */
export class CdkPipelinesStack extends Stack {
  constructor(scope: Construct, id: string, props: CdkPipelinesStackProps) {
    const { source, environmentName, environment, projectRoot, ...stackProps } = props;
    super(scope, id, stackProps);
    const pipeline = new CodePipeline(this, 'Pipeline', {
      pipelineName: `example-cdk-pipelines-${environmentName}`,
      pipelineType: PipelineType.V2,
      synth: new ShellStep('Synth', {
        input: CodePipelineSource.connection(`${source.owner}/${source.repo}`, source.branch, {
          connectionArn: source.connectionArn,
        }),
        commands: ['npm ci', 'cd examples/pipeline', 'npx cdk synth --quiet'],
        primaryOutputDirectory: 'examples/pipeline/cdk.out',
      }),
    });
    const stage = new EnvironmentStage(this, environmentName, {
      environmentName,
      environment,
      projectRoot,
      env: { account: environment.account, region: environment.region },
    });
    pipeline.addStage(stage, { post: [new PipelineDeployStep('Deploy-Step', { environmentName })] });
  }
}

class EnvironmentStage extends Stage {
  constructor(scope: Construct, id: string, props: StageProps & EnvironmentProps) {
    const { env, ...stackProps } = props;
    super(scope, id, { ...(env !== undefined && { env }) });
    new EnvironmentStack(this, 'pg-deploy-step', {
      ...stackProps,
      stackName: `pg-deploy-step-${props.environmentName}`,
    });
  }
}
