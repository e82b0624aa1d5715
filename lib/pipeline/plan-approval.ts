import { Duration, Stack } from 'aws-cdk-lib';
import {
  BuildEnvironmentVariableType,
  BuildSpec,
  type IProject,
  LinuxBuildImage,
  PipelineProject,
} from 'aws-cdk-lib/aws-codebuild';
import type { Artifact, IAction } from 'aws-cdk-lib/aws-codepipeline';
import { CodeBuildAction, ManualApprovalAction } from 'aws-cdk-lib/aws-codepipeline-actions';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { ITopic } from 'aws-cdk-lib/aws-sns';
import { Construct } from 'constructs';
import { DeployStepAction } from './deploy-step-action.ts';
import { PipelineRole } from './pipeline-role.ts';
import { isInOtherAccount, type PipelineTarget, pipelineExecutionsArn } from './pipeline-target.ts';

/** How people are asked for the approval. */
export interface ApprovalOptions {
  /** The topic that is notified. @default none, or a new one for `notifyEmails` */
  readonly notificationTopic?: ITopic;
  /** Addresses that are notified. @default none */
  readonly notifyEmails?: readonly string[];
  /** How long an approval can be given, 5 minutes to 60 days. @default 7 days */
  readonly timeout?: Duration;
}

/** Properties of PlanApproval. */
export interface PlanApprovalProps extends PipelineTarget, ApprovalOptions {
  /** Begins the names of the actions: `Deploy-Step` becomes `Deploy-Step-Plan`, `Deploy-Step-Summary` and `Deploy-Step-Approve`. */
  readonly actionName: string;
  /** Any artifact, such as that of the source: CodeBuild does not start without one. It is not read. */
  readonly input: Artifact;
  /** Of the plan. The other actions have the next two numbers. @default 1 */
  readonly runOrder?: number;
}

/** Exported variable of CodeBuild: `#{plan-ENV.Summary}` in the actions that follow. */
const SUMMARY = 'Summary';

/**
 * Plan, then manual approval: three actions of a CodePipeline, to place between the deployment of the environment's stack and the
 * DeployStepAction.
 *
 * 1. `NAME-Plan` runs the workflow with the input `{"mode": "plan"}`, which changes nothing. It fails if the plan fails.
 * 2. `NAME-Summary` reads the summary of the plan's report into the variable `#{plan-ENV.Summary}`: CodePipeline gives the ARN of an
 *    execution to other actions, but not its output.
 * 3. `NAME-Approve` shows the summary to a person, and a link to the execution with the whole plan.
 *
 * ```ts
 * const approval = new PlanApproval(this, 'Plan', { actionName: 'Deploy-Step', environmentName: 'prod', input: source, runOrder: 2 });
 * const deploy = new DeployStepAction(this, 'Machine', { actionName: 'Deploy-Step', environmentName: 'prod', runOrder: 5 });
 * pipeline.addStage({ stageName: 'Prod', actions: [deployStack, ...approval.actions, deploy] });
 * ```
 *
 * An environment in another account needs a PipelineRole.
 */
export class PlanApproval extends Construct {
  /** The three actions, in their order. */
  readonly actions: readonly IAction[];
  /** The summary of the plan, for further actions: `#{plan-ENV.Summary}`. At most 900 characters, one line. */
  readonly summary: string;

  constructor(scope: Construct, id: string, props: PlanApprovalProps) {
    super(scope, id);
    const { actionName, input, runOrder = 1, notificationTopic, notifyEmails, timeout, ...target } = props;
    const isOther = isInOtherAccount(this, target);
    const namespace = `plan-${target.environmentName}`;
    const plan = new DeployStepAction(this, 'Machine', {
      ...target,
      ...(isOther && { role: PipelineRole.of(this, 'Role', target) }),
      ...{ actionName: `${actionName}-Plan`, runOrder, input: { mode: 'plan' } },
      variablesNamespace: `${namespace}-execution`,
    });
    const executionArn = `#{${namespace}-execution.ExecutionArn}`;
    const summary = new CodeBuildAction({
      ...{ actionName: `${actionName}-Summary`, runOrder: runOrder + 1, input },
      project: isOther ? this.#projectInOtherAccount(target) : this.#project(target),
      variablesNamespace: namespace,
      environmentVariables: {
        EXECUTION_ARN: { value: executionArn, type: BuildEnvironmentVariableType.PLAINTEXT },
      },
    });
    this.summary = `#{${namespace}.${SUMMARY}}`;
    const { region = Stack.of(this).region } = target;
    const approve = new ManualApprovalAction({
      ...{ actionName: `${actionName}-Approve`, runOrder: runOrder + 2 },
      additionalInformation: `Deploy to ${target.environmentName}: ${this.summary}`,
      externalEntityLink: `https://${region}.console.aws.amazon.com/states/home?region=${region}#/v2/executions/details/${executionArn}`,
      ...(notificationTopic && { notificationTopic }),
      ...(notifyEmails && { notifyEmails: [...notifyEmails] }),
      ...(timeout && { timeout }),
    });
    this.actions = [plan, summary, approve];
  }

  #project(target: PipelineTarget): IProject {
    const project = this.#newProject('');
    project.addToRolePolicy(
      new PolicyStatement({
        actions: ['states:DescribeExecution'],
        resources: [pipelineExecutionsArn(this, target)],
      }),
    );
    return project;
  }

  #projectInOtherAccount(target: PipelineTarget): IProject {
    const roleArn = PipelineRole.arnOf(this, target);
    const project = this.#newProject(roleArn);
    project.addToRolePolicy(new PolicyStatement({ actions: ['sts:AssumeRole'], resources: [roleArn] }));
    return project;
  }

  /** @param roleArn to assume. Empty: none */
  #newProject(roleArn: string): PipelineProject {
    return new PipelineProject(this, 'Summary', {
      description: 'Reads the summary of a plan of pg-deploy-step',
      timeout: Duration.minutes(5),
      queuedTimeout: Duration.hours(1),
      grantReportGroupPermissions: false,
      environment: { buildImage: LinuxBuildImage.STANDARD_7_0 },
      environmentVariables: { ROLE_ARN: { value: roleArn } },
      buildSpec: BuildSpec.fromObject({
        version: '0.2',
        env: { shell: 'bash', 'exported-variables': [SUMMARY] },
        phases: {
          install: { 'runtime-versions': { nodejs: 22 } },
          build: { commands: [READ_SUMMARY] },
        },
      }),
    });
  }
}

/**
 * The field of an object in JSON: Node.js is in the image. Its absence is an error.
 * CodeBuild exports the variable from the shell in which the command runs. The credentials of the other role stay in a shell of their own.
 */
const READ_SUMMARY = `field() {
  node -e 'try { const value = JSON.parse(fs.readFileSync(0, "utf8"))[process.argv[1]]; if (typeof value === "string") console.log(value); else process.exit(1) } catch { process.exit(1) }' "$1"
}
report=$(
  if [ -n "$ROLE_ARN" ]; then
    credentials=$(aws sts assume-role --role-arn "$ROLE_ARN" --role-session-name plan-summary --query Credentials --output json) || exit 1
    AWS_ACCESS_KEY_ID=$(field AccessKeyId <<<"$credentials") || exit 1
    AWS_SECRET_ACCESS_KEY=$(field SecretAccessKey <<<"$credentials") || exit 1
    AWS_SESSION_TOKEN=$(field SessionToken <<<"$credentials") || exit 1
    export AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
  fi
  # The environment can be in another region than the pipeline.
  region=$(cut -d : -f 4 <<<"$EXECUTION_ARN")
  aws stepfunctions describe-execution --region "$region" --execution-arn "$EXECUTION_ARN" --query output --output text
) || exit 1
if ! ${SUMMARY}=$(field summary <<<"$report"); then
  echo "The report of the plan has no summary: deploy the stack of the environment with this version of pg-deploy-step." >&2
  exit 1
fi
export ${SUMMARY}
printf '%s\\n' "$${SUMMARY}"`;
