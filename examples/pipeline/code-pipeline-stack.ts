import { DefaultStackSynthesizer, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { BuildSpec, LinuxBuildImage, PipelineProject } from 'aws-cdk-lib/aws-codebuild';
import { Artifact, Pipeline, PipelineType } from 'aws-cdk-lib/aws-codepipeline';
import { CodeBuildAction, CodeStarConnectionsSourceAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { DeployStepAction } from 'pg-deploy-step';
import type { Source } from './source.ts';

export interface CodePipelineStackProps extends StackProps {
  source: Source;
  environmentName: string;
}

/** A CodePipeline with three steps: source, `cdk deploy` of the environment's stack, and a run of its workflow. */
export class CodePipelineStack extends Stack {
  constructor(scope: Construct, id: string, props: CodePipelineStackProps) {
    const { source, environmentName, ...stackProps } = props;
    super(scope, id, stackProps);
    const code = new Artifact('Source');
    new Pipeline(this, 'Pipeline', {
      pipelineName: `example-${environmentName}`,
      pipelineType: PipelineType.V2,
      crossAccountKeys: false,
      stages: [
        {
          stageName: 'Source',
          actions: [new CodeStarConnectionsSourceAction({ actionName: 'Source', ...source, output: code })],
        },
        {
          stageName: 'Deploy',
          actions: [
            new CodeBuildAction({
              actionName: 'Deploy-Stack',
              project: this.deployProject(environmentName),
              input: code,
              runOrder: 1,
            }),
            // Runs after the stack is deployed, so that the workflow has the registry and the migrations of this commit.
            new DeployStepAction(this, 'DeployMachine', {
              actionName: 'Deploy-Step',
              environmentName,
              input: { mode: 'deploy' },
              runOrder: 2,
            }),
          ],
        },
      ],
    });
  }

  private deployProject(environmentName: string): PipelineProject {
    const project = new PipelineProject(this, 'DeployProject', {
      timeout: Duration.minutes(30),
      grantReportGroupPermissions: false,
      environment: { buildImage: LinuxBuildImage.STANDARD_7_0 },
      buildSpec: BuildSpec.fromObject({
        version: '0.2',
        phases: {
          install: { 'runtime-versions': { nodejs: 22 }, commands: ['npm ci'] },
          build: { commands: [`npx cdk deploy pg-deploy-step-${environmentName} --require-approval never`] },
        },
      }),
    });
    // The project only assumes the roles of the CDK's bootstrap stack. These roles have the permissions.
    project.addToRolePolicy(
      new PolicyStatement({
        actions: ['sts:AssumeRole'],
        resources: ['deploy', 'file-publishing', 'lookup'].map((role) =>
          this.formatArn({
            ...{ service: 'iam', region: '', resource: 'role' },
            resourceName: `cdk-${DefaultStackSynthesizer.DEFAULT_QUALIFIER}-${role}-role-${this.account}-${this.region}`,
          }),
        ),
      }),
    );
    return project;
  }
}
