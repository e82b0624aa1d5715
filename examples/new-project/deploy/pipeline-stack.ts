import { DefaultStackSynthesizer, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { BuildSpec, LinuxBuildImage, PipelineProject } from 'aws-cdk-lib/aws-codebuild';
import { Artifact, Pipeline, PipelineType } from 'aws-cdk-lib/aws-codepipeline';
import { CodeBuildAction, CodeStarConnectionsSourceAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { DeployStepAction } from 'pg-deploy-step';

export interface PipelineStackProps extends StackProps {
  readonly environmentName: string;
}

/** A commit: `cdk deploy` of the environment's stack, then a run of its workflow. Add the deployment of your application here. */
export class PipelineStack extends Stack {
  constructor(scope: Construct, id: string, { environmentName, ...props }: PipelineStackProps) {
    super(scope, id, props);
    const { connectionArn, repository, branch } = this.node.getContext('source');
    const [owner, repo] = repository.split('/');
    const code = new Artifact('Source');
    new Pipeline(this, 'Pipeline', {
      pipelineName: `pg-deploy-step-${environmentName}`,
      pipelineType: PipelineType.V2,
      crossAccountKeys: false,
      stages: [
        {
          stageName: 'Source',
          actions: [
            new CodeStarConnectionsSourceAction({
              ...{ actionName: 'Source', output: code },
              ...{ connectionArn, owner, repo, branch },
            }),
          ],
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
            // After the stack, so that the workflow has the registry and the migrations of this commit.
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
