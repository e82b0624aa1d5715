import { DefaultStackSynthesizer, Duration, Stack } from 'aws-cdk-lib';
import { BuildSpec, LinuxBuildImage, PipelineProject } from 'aws-cdk-lib/aws-codebuild';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';

/** A project of CodeBuild that runs `cdk deploy` for one stack, in the account of the pipeline. */
export function cdkDeployProject(scope: Construct, id: string, stackName: string): PipelineProject {
  const project = new PipelineProject(scope, id, {
    timeout: Duration.minutes(30),
    grantReportGroupPermissions: false,
    environment: { buildImage: LinuxBuildImage.STANDARD_7_0 },
    buildSpec: BuildSpec.fromObject({
      version: '0.2',
      phases: {
        install: { 'runtime-versions': { nodejs: 22 }, commands: ['npm ci'] },
        build: { commands: [`npx cdk deploy ${stackName} --require-approval never`] },
      },
    }),
  });
  const stack = Stack.of(scope);
  // The project only assumes the roles of the CDK's bootstrap stack. These roles have the permissions.
  project.addToRolePolicy(
    new PolicyStatement({
      actions: ['sts:AssumeRole'],
      resources: ['deploy', 'file-publishing', 'lookup'].map((role) =>
        stack.formatArn({
          ...{ service: 'iam', region: '', resource: 'role' },
          resourceName: `cdk-${DefaultStackSynthesizer.DEFAULT_QUALIFIER}-${role}-role-${stack.account}-${stack.region}`,
        }),
      ),
    }),
  );
  return project;
}
