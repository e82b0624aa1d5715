/*
 * The findings of cdk-nag that are accepted, each with its reason: this is their only home. Every other finding has to be fixed.
 * In a rule, words in capitals stand for names that differ from one environment to the next: see `generalRule`.
 */

export interface AcceptedFinding {
  readonly rule: string;
  readonly reason: string;
}

const wildcard = (rule: string, reason: string): AcceptedFinding => ({
  rule: `AwsSolutions-IAM5[${rule}]`,
  reason,
});

/** Of the stack of an environment. test/stack/wildcards.test.ts checks each wildcard of a policy with its action. */
export const ACCEPTED_IN_STACK: readonly AcceptedFinding[] = [
  wildcard('Resource::*', 'IAM supports no narrower resources for these actions.'),
  wildcard(
    'Resource::arn:PARTITION:application-autoscaling:REGION:ACCOUNT:scalable-target/*',
    'The ARN of a scalable target ends in an id that is unknown at synth. Conditions allow only desired counts of ECS services.',
  ),
  wildcard(
    'Resource::<FUNCTION.Arn>:*',
    'A running execution invokes the versions of the functions with which it started, also after an update of the stack.',
  ),
  wildcard(
    'Resource::arn:PARTITION:states:REGION:ACCOUNT:execution:MACHINE:*',
    'The names of executions are generated when they start.',
  ),
  wildcard(
    'Resource::arn:PARTITION:ecs:REGION:ACCOUNT:task-definition/FAMILY:*',
    'The deploy runs the latest revision of the configured family.',
  ),
  wildcard(
    'Resource::arn:PARTITION:ecs:REGION:ACCOUNT:task/CLUSTER/*',
    'ECS chooses the ids of tasks. A condition names the cluster.',
  ),
  wildcard(
    'Resource::arn:PARTITION:ssm:REGION:ACCOUNT:parameter/pg-deploy-step/ENVIRONMENT/services/*',
    'A service that is stopped can have another name in the configuration since, or be missing there.',
  ),
  wildcard(
    'Resource::arn:PARTITION:ssm:REGION:ACCOUNT:parameter/pg-deploy-step/ENVIRONMENT/incidents/*',
    'The recovery records what it did for such a service under its name.',
  ),
  {
    rule: 'Serverless-LambdaStarPermissions',
    reason:
      'X-Ray and the network interfaces of Lambda support no resources. A Deny forbids the latter to the code of the functions.',
  },
  {
    rule: 'Serverless-LambdaDLQ',
    reason:
      'A dead-letter queue receives asynchronous invocations. Step Functions invokes the functions synchronously, retries them and reports their failure.',
  },
  {
    rule: 'Serverless-SNSRedrivePolicy',
    reason:
      'The subscriptions are mail addresses. The report of the execution contains what the alert contains.',
  },
  {
    rule: 'Serverless-EventBusDLQ',
    reason:
      'The rules start the recovery. The reconciler starts it again within minutes if an event is lost.',
  },
];

/** Of the examples, whose pipelines the CDK makes: they show the step, and are not meant for production as they are. */
export const ACCEPTED_IN_EXAMPLES: readonly AcceptedFinding[] = [
  wildcard(
    'Resource::<BUCKET.Arn>/*',
    "The CDK's pipeline reads and writes objects of its own bucket, whose names CodePipeline chooses.",
  ),
  ...['s3:DeleteObject*', 's3:Abort*', 's3:GetObject*', 's3:GetBucket*', 's3:List*'].map((action) =>
    wildcard(`Action::${action}`, "The CDK's grants for the bucket of the pipeline."),
  ),
  ...['kms:ReEncrypt*', 'kms:GenerateDataKey*'].map((action) =>
    wildcard(`Action::${action}`, "The CDK's grants for the key of that bucket."),
  ),
  wildcard(
    'Resource::arn:PARTITION:states:REGION:ACCOUNT:execution:MACHINE:pipeline*',
    'The pipeline action starts executions with this prefix, and CodePipeline generates the rest of the name.',
  ),
  wildcard(
    'Resource::arn:PARTITION:logs:REGION:ACCOUNT:log-group:/aws/codebuild/PROJECT:*',
    'CodeBuild chooses the names of the log streams of its own project.',
  ),
  wildcard(
    'Resource::arn:PARTITION:logs:REGION:ACCOUNT:log-group:/aws/codebuild/*',
    'The default role of CDK Pipelines.',
  ),
  wildcard(
    'Resource::arn:PARTITION:codebuild:REGION:ACCOUNT:report-group/PROJECT-*',
    'CodeBuild creates report groups with the name of the project in front.',
  ),
  wildcard(
    'Resource::arn:PARTITION:codebuild:REGION:ACCOUNT:report-group/*',
    'The default role of CDK Pipelines.',
  ),
  wildcard(
    'Resource::arn:*:iam::ACCOUNT:role/*',
    'The self-mutation of CDK Pipelines assumes the roles of the bootstrap stack, with a condition on their tag.',
  ),
  {
    rule: 'AwsSolutions-CB4',
    reason: 'The projects keep no artifacts of their own. The bucket of the pipeline is encrypted.',
  },
  {
    rule: 'AwsSolutions-S1',
    reason:
      'Access logs of the pipeline bucket need a further bucket, which the reader of an example may have.',
  },
];

/** Of the environment of the test on AWS, which exists for about an hour and contains generated rows only. */
export const ACCEPTED_IN_INTEG: readonly AcceptedFinding[] = [
  { rule: 'AwsSolutions-VPC7', reason: 'Nobody reads the flow logs of a network that exists for an hour.' },
  { rule: 'AwsSolutions-SMG4', reason: 'The database is deleted before its password could be rotated.' },
  {
    rule: 'AwsSolutions-RDS3',
    reason: 'A copy in a second zone doubles the cost, and nothing is tested with it.',
  },
  { rule: 'AwsSolutions-RDS10', reason: 'The database has to be deleted together with its stack.' },
  {
    rule: 'AwsSolutions-RDS11',
    reason: 'Only the functions and the tasks can reach the port of the database.',
  },
  {
    rule: 'AwsSolutions-RDS13',
    reason: 'The rows are generated by a migration. Backups could outlive the stack.',
  },
  {
    rule: 'AwsSolutions-ECS2',
    reason: 'The variables are an application name and the mode of TLS. The password comes from the secret.',
  },
  { rule: 'AwsSolutions-ECS4', reason: 'Container Insights costs money, and nobody reads it.' },
  { rule: 'AwsSolutions-ELB2', reason: 'The load balancer gets no requests, and the logs need a bucket.' },
  {
    rule: 'AwsSolutions-IAM4[Policy::arn:PARTITION:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole]',
    reason: "The CDK's custom resource, which deletes the parameters, has this policy.",
  },
  {
    rule: 'Serverless-LambdaDefaultMemorySize',
    reason: "The CDK's custom resource makes one call, for which the default is enough.",
  },
  { rule: 'Serverless-LambdaTracing', reason: "The CDK's custom resource has no option for it." },
];

/** Of the playground, in addition to those of the test on AWS. */
export const ACCEPTED_IN_PLAYGROUND: readonly AcceptedFinding[] = [
  {
    rule: 'AwsSolutions-RDS6',
    reason: 'The playground logs in with the secret, as most databases are used.',
  },
];

/** The rule of a finding with words in capitals in place of names. */
export function generalRule(rule: string): string {
  return rule
    .replaceAll(/<AWS::Partition>/g, 'PARTITION')
    .replaceAll(/:(?:<AWS::Region>|eu-west-1):/g, ':REGION:')
    .replaceAll(/:(?:<AWS::AccountId>|\d{12}):/g, ':ACCOUNT:')
    .replaceAll(/<(?:DeployStep)?Functions[A-Za-z]+[0-9A-F]{8}\.Arn>/g, '<FUNCTION.Arn>')
    .replaceAll(/<\w*ArtifactsBucket[0-9A-F]{8}\.Arn>/g, '<BUCKET.Arn>')
    .replaceAll(/<\w+Project[0-9A-F]{8}>|<\w+(?:SelfMutation|Summary)[0-9A-F]{8}>/g, 'PROJECT')
    .replaceAll(/execution:pg-deploy-step-[a-z0-9]+-[a-z-]+:/g, 'execution:MACHINE:')
    .replaceAll(/parameter\/pg-deploy-step\/[a-z0-9]+\//g, 'parameter/pg-deploy-step/ENVIRONMENT/')
    .replaceAll(/task-definition\/shop-migrate:/g, 'task-definition/FAMILY:')
    .replaceAll(/task\/(?:prod|dev|pg-deploy-step-integ|<Cluster[0-9A-F]{8}>)\//g, 'task/CLUSTER/');
}
