import { join } from 'node:path';
import { Duration } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import { Code, Function as LambdaFunction, Runtime } from 'aws-cdk-lib/aws-lambda';
import type { Construct } from 'constructs';

export interface StopFunctionProps {
  /** Folder with index.mjs. It needs no bundling: the runtime contains the AWS SDK. */
  folder: string;
  variables: Record<string, string>;
  /** What the function may do, to one resource. */
  rights: PolicyStatement[];
}

/** A function that checks, stops, looks at and starts one service, for a service of the kind `custom`. */
export class StopFunction extends LambdaFunction {
  constructor(scope: Construct, id: string, { folder, variables, rights }: StopFunctionProps) {
    super(scope, id, {
      runtime: Runtime.NODEJS_24_X,
      handler: 'index.handler',
      code: Code.fromAsset(join(import.meta.dirname, folder)),
      environment: variables,
      timeout: Duration.minutes(1),
      // A start never runs beside the stop of a deploy that was killed.
      reservedConcurrentExecutions: 1,
    });
    for (const statement of rights) this.addToRolePolicy(statement);
  }
}

/** The function that stops a Lambda function by its reserved concurrency. */
export function stopLambdaFunction(scope: Construct, id: string, stopped: { name: string; arn: string }) {
  return new StopFunction(scope, id, {
    folder: 'lambda-concurrency',
    variables: { STOPPED_FUNCTION: stopped.name },
    rights: [
      new PolicyStatement({
        actions: [
          'lambda:GetFunctionConfiguration',
          'lambda:GetFunctionConcurrency',
          'lambda:ListProvisionedConcurrencyConfigs',
          'lambda:PutFunctionConcurrency',
          'lambda:DeleteFunctionConcurrency',
        ],
        resources: [stopped.arn],
      }),
    ],
  });
}

/** The function that stops an Auto Scaling group. */
export function stopAutoScalingGroup(scope: Construct, id: string, stopped: { name: string; arn: string }) {
  return new StopFunction(scope, id, {
    folder: 'auto-scaling-group',
    variables: { STOPPED_GROUP: stopped.name },
    rights: [
      // It cannot be limited to one group.
      new PolicyStatement({ actions: ['autoscaling:DescribeAutoScalingGroups'], resources: ['*'] }),
      new PolicyStatement({
        actions: [
          'autoscaling:SuspendProcesses',
          'autoscaling:ResumeProcesses',
          'autoscaling:UpdateAutoScalingGroup',
        ],
        resources: [stopped.arn],
      }),
    ],
  });
}
