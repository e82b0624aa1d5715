import { CfnResource, type Stack } from 'aws-cdk-lib';
import { CfnLogGroup } from 'aws-cdk-lib/aws-logs';

/**
 * Gives each function of the stack a log group of the stack. Otherwise Lambda creates one when a function runs for the first
 * time, and CloudFormation does not delete it.
 */
export function keepLogsInStack(stack: Stack): void {
  const functions = stack.node
    .findAll()
    .filter(
      (node): node is CfnResource =>
        CfnResource.isCfnResource(node) && node.cfnResourceType === 'AWS::Lambda::Function',
    );
  for (const fn of functions) {
    const group = new CfnLogGroup(fn, 'Logs', { retentionInDays: 1 });
    fn.addPropertyOverride('LoggingConfig', { LogGroup: group.ref });
  }
}
