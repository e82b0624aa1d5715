import { Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import type { CfnStateMachine, StateMachine } from 'aws-cdk-lib/aws-stepfunctions';

/** How long Step Functions uses a data key before it asks KMS for another one, in seconds: the longest time that it allows. */
const DATA_KEY_SECONDS = 900;

/**
 * Encrypts the definitions and the execution histories with a customer-managed key. The machines start each other and read each
 * other's executions, so each role may use the key for all of them, through Step Functions only.
 */
export function encryptMachines(machines: readonly StateMachine[], kmsKeyArn: string): void {
  for (const machine of machines) {
    (machine.node.defaultChild as CfnStateMachine).encryptionConfiguration = {
      type: 'CUSTOMER_MANAGED_KMS_KEY',
      kmsKeyId: kmsKeyArn,
      kmsDataKeyReusePeriodSeconds: DATA_KEY_SECONDS,
    };
    machine.addToRolePolicy(
      new PolicyStatement({
        actions: ['kms:Decrypt', 'kms:GenerateDataKey'],
        resources: [kmsKeyArn],
        conditions: {
          StringEquals: { 'kms:ViaService': `states.${Stack.of(machine).region}.amazonaws.com` },
        },
      }),
    );
  }
}
