import { ArnFormat, Stack } from 'aws-cdk-lib';
import { CfnRole, Effect, PolicyDocument, PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type * as lambda from 'aws-cdk-lib/aws-lambda';
import type * as logs from 'aws-cdk-lib/aws-logs';

/** What Lambda does with the role to connect a function to a VPC. */
const NETWORK_ACTIONS = [
  'ec2:AssignPrivateIpAddresses',
  'ec2:CreateNetworkInterface',
  'ec2:DeleteNetworkInterface',
  'ec2:DescribeNetworkInterfaces',
  'ec2:DescribeSubnets',
  'ec2:UnassignPrivateIpAddresses',
];

/**
 * Replaces the managed policies of a function's role. AWSLambdaBasicExecutionRole and AWSLambdaVPCAccessExecutionRole allow
 * to write into every log group of the account, and allow the function's own code to delete network interfaces.
 *
 * The role itself stays the CDK's, under its own id: a published version keeps its role, and a running execution may still
 * invoke that version after an update of the stack. The policies are part of the role, because a function in a VPC cannot be
 * created before its role has these permissions.
 */
export function allowOnlyOwnLogsAndNetwork(fn: lambda.Function, logGroup: logs.ILogGroup): void {
  const role = fn.role?.node.defaultChild;
  if (!(role instanceof CfnRole)) throw new Error(`The function ${fn.node.path} has no role of its own.`);
  role.managedPolicyArns = [];
  role.policies = [policy('Logs', mayWriteTo(logGroup)), ...(fn.isBoundToVpc ? [networkPolicy(fn)] : [])];
}

/** The log group exists before the function, so the function needs no permission to create it. */
function mayWriteTo(logGroup: logs.ILogGroup): PolicyStatement {
  return new PolicyStatement({
    actions: ['logs:CreateLogStream', 'logs:PutLogEvents'],
    resources: [logGroup.logGroupArn],
  });
}

function networkPolicy(fn: lambda.Function): CfnRole.PolicyProperty {
  return policy(
    'Network',
    // The ids of the network interfaces are unknown at synth.
    new PolicyStatement({ actions: NETWORK_ACTIONS, resources: ['*'] }),
    new PolicyStatement({
      effect: Effect.DENY,
      actions: NETWORK_ACTIONS,
      resources: ['*'],
      // This key is present only in calls by the code of the function, not in the calls by Lambda itself.
      conditions: { ArnEquals: { 'lambda:SourceFunctionArn': arnOf(fn) } },
    }),
  );
}

function policy(policyName: string, ...statements: PolicyStatement[]): CfnRole.PolicyProperty {
  return { policyName, policyDocument: new PolicyDocument({ statements }) };
}

/** The ARN with the fixed name, because a reference to the function would make its role depend on the function. */
function arnOf(fn: lambda.Function): string {
  const { functionName } = fn.node.defaultChild as lambda.CfnFunction;
  if (functionName === undefined) throw new Error(`The function ${fn.node.path} has no fixed name.`);
  return Stack.of(fn).formatArn({
    service: 'lambda',
    resource: 'function',
    resourceName: functionName,
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}
