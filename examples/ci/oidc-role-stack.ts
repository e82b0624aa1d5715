import { ArnFormat, CfnOutput, Duration, Stack, type StackProps } from 'aws-cdk-lib';
import { CfnOIDCProvider, PolicyStatement, Role, WebIdentityPrincipal } from 'aws-cdk-lib/aws-iam';
import type { Construct } from 'constructs';
import { machineNamesOf } from 'pg-deploy-step';

export interface OidcRoleStackProps extends StackProps {
  /** Name of the environment whose deploys the jobs start. */
  environmentName: string;
  /** Host of the issuer of the tokens. */
  issuer: string;
  /** Whom the tokens are for: the claim `aud`. */
  audience: string;
  /** Which jobs may use the role: the claim `sub`, exactly. */
  subjects: readonly string[];
  /** ARN of the provider of this issuer, of which an account has one at most. @default a new provider */
  providerArn?: string;
}

/** The execution names of the jobs begin with it. */
const EXECUTION_NAME_PREFIX = 'ci';

/** The plan runs on the branch, the deploy in the environment, whose reviewers approve it. */
export function gitHubSubjects({ repository, branch, environment }: Record<string, string>): string[] {
  return [`repo:${repository}:ref:refs/heads/${branch}`, `repo:${repository}:environment:${environment}`];
}

/** Protect the branch: each job that runs on it may use the role. */
export function gitLabSubjects({ project, branch }: Record<string, string>): string[] {
  return [`project_path:${project}:ref_type:branch:ref:${branch}`];
}

/**
 * A role for the jobs of a CI system, without keys: a job shows a token that its CI system has signed. The role may start the deploys of one
 * environment and describe the executions that jobs have started, and nothing else. Step Functions cannot allow certain inputs only, so a
 * job that may start a plan may also start a deploy.
 */
export class OidcRoleStack extends Stack {
  constructor(scope: Construct, id: string, props: OidcRoleStackProps) {
    const { environmentName, issuer, audience, subjects, providerArn, ...stackProps } = props;
    super(scope, id, stackProps);
    const provider =
      providerArn ??
      new CfnOIDCProvider(this, 'Provider', { url: `https://${issuer}`, clientIdList: [audience] }).attrArn;
    const role = new Role(this, 'Role', {
      description: `Jobs of ${issuer} start the deploys of ${environmentName} with it`,
      assumedBy: new WebIdentityPrincipal(provider, {
        StringEquals: { [`${issuer}:aud`]: audience, [`${issuer}:sub`]: subjects },
      }),
      // A job waits for at most 230 minutes.
      maxSessionDuration: Duration.hours(4),
    });
    const name = machineNamesOf(environmentName).deploy;
    const arnOf = (resource: string, resourceName: string) =>
      this.formatArn({
        ...{ service: 'states', resource, resourceName },
        arnFormat: ArnFormat.COLON_RESOURCE_NAME,
      });
    role.addToPolicy(
      new PolicyStatement({
        actions: ['states:StartExecution'],
        resources: [arnOf('stateMachine', name)],
      }),
    );
    role.addToPolicy(
      new PolicyStatement({
        actions: ['states:DescribeExecution'],
        resources: [arnOf('execution', `${name}:${EXECUTION_NAME_PREFIX}-*`)],
      }),
    );
    new CfnOutput(this, 'RoleArn', { value: role.roleArn });
    new CfnOutput(this, 'StateMachineArn', { value: arnOf('stateMachine', name) });
  }
}
