import { ArnFormat, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { CfnStateMachine, StateMachine } from 'aws-cdk-lib/aws-stepfunctions';

/** How long Step Functions uses a data key before it asks KMS for another one, in seconds: the longest time that it allows. */
const DATA_KEY_SECONDS = 900;

/**
 * Encrypts the definitions and the execution histories with a customer-managed key. Step Functions names the state machine in
 * the encryption context. The machines start each other and read each other's executions, so each role may use the key for all of
 * them. It also needs a data key for the log events that it delivers.
 * @param machines the state machines by their names
 */
export function encryptMachines(machines: Readonly<Record<string, StateMachine>>, kmsKeyArn: string): void {
  for (const machine of Object.values(machines)) {
    const stack = Stack.of(machine);
    const arnOf = (service: string, resource: string, resourceName?: string) =>
      stack.formatArn({
        ...{ service, resource, arnFormat: ArnFormat.COLON_RESOURCE_NAME },
        ...(resourceName && { resourceName }),
      });
    (machine.node.defaultChild as CfnStateMachine).encryptionConfiguration = {
      type: 'CUSTOMER_MANAGED_KMS_KEY',
      kmsKeyId: kmsKeyArn,
      kmsDataKeyReusePeriodSeconds: DATA_KEY_SECONDS,
    };
    const mayUseKey = (actions: string[], context: string, values: string | string[]) =>
      machine.addToRolePolicy(
        new PolicyStatement({
          actions,
          resources: [kmsKeyArn],
          conditions: { StringEquals: { [`kms:EncryptionContext:${context}`]: values } },
        }),
      );
    // The ARNs with the fixed names, because a reference to another machine would make the machines depend on each other.
    const arns = Object.keys(machines).map((name) => arnOf('states', 'stateMachine', name));
    mayUseKey(['kms:Decrypt', 'kms:GenerateDataKey'], 'aws:states:stateMachineArn', arns);
    // The asterisk is part of the context that CloudWatch Logs uses.
    mayUseKey(['kms:GenerateDataKey'], 'SourceArn', arnOf('logs', '*'));
  }
}
