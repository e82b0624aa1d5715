import { RemovalPolicy } from 'aws-cdk-lib';
import type * as kms from 'aws-cdk-lib/aws-kms';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { Construct } from 'constructs';
import type { Environment } from '../config/environment-config.ts';

/** What all log groups of an environment have in common. */
export interface LogSettings {
  /** How long CloudWatch keeps the logs, in days. */
  retention: logs.RetentionDays;
  /** Key that encrypts the log groups. @default CloudWatch's own encryption */
  encryptionKey?: kms.IKey;
  /** Whether the log groups remain when the stack is deleted. */
  retain: boolean;
  /** Whether the logs of the state machines contain the input and the output of each state. */
  executionData: boolean;
}

/** @param encryptionKey of all log groups. Undefined: CloudWatch's own encryption */
export function logSettingsOf(
  { logs: configured, stack }: Environment,
  encryptionKey?: kms.IKey,
): LogSettings {
  const { retentionDays, executionData } = configured;
  return {
    retention: retentionDays,
    retain: stack.retain,
    executionData,
    ...(encryptionKey && { encryptionKey }),
  };
}

/** A log group with a fixed name. It is deleted together with the stack, unless the settings say otherwise. */
export function logGroup(scope: Construct, id: string, name: string, settings: LogSettings): logs.LogGroup {
  const { retention, retain, encryptionKey } = settings;
  return new logs.LogGroup(scope, id, {
    logGroupName: name,
    retention,
    removalPolicy: retain ? RemovalPolicy.RETAIN : RemovalPolicy.DESTROY,
    ...(encryptionKey && { encryptionKey }),
  });
}
