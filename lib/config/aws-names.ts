import { z } from 'zod';

/*
 * Names and ARNs of AWS resources. They become parts of ARNs in IAM policies, so none of them may contain a wildcard: a
 * service named "*" would give the workflow the right to stop every service of the cluster.
 */

/** Name of an ECS cluster, service or container. */
export const ecsName = z
  .string()
  .regex(/^[A-Za-z0-9_-]{1,255}$/, 'must be a name, not an ARN, of letters, digits, - and _');

/** A role in an ECS task definition. "none": it has no such role. */
export const taskRoleArn = z
  .string()
  .regex(
    /^(none|arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]+)$/,
    'must be the ARN of the role in the task definition, or "none" if it has no such role',
  );

export const ruleName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be the name of a rule, not an ARN, of letters, digits, ., - and _');

export const eventBusName = z
  .string()
  .regex(
    /^[A-Za-z0-9._/-]{1,256}$/,
    'must be the name of an event bus, not an ARN, of letters, digits, ., -, _ and /',
  );

/** Name of a schedule of EventBridge Scheduler, or of a group of schedules. */
export const scheduleName = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,64}$/, 'must be a name, not an ARN, of letters, digits, ., - and _');

export const roleArn = z
  .string()
  .regex(
    /^arn:[\w-]+:iam::\d{12}:role\/[\w+=,.@/-]{1,576}$/,
    'must be the ARN of a role (arn:aws:iam::ACCOUNT:role/NAME), without a wildcard',
  );

/** With a version or an alias, the workflow may invoke only that one. */
export const lambdaFunctionArn = z
  .string()
  .regex(
    /^arn:[\w-]+:lambda:[\w-]+:\d{12}:function:[A-Za-z0-9_-]{1,64}(:[A-Za-z0-9_-]{1,128}|:\$LATEST)?$/,
    'must be the ARN of a Lambda function (arn:aws:lambda:REGION:ACCOUNT:function:NAME), optionally with a version or an alias',
  );

export const regionName = z
  .string()
  .regex(/^[a-z]{2,}(-[a-z]+)+-\d+$/, 'must be the name of a region, such as eu-west-1');

export const secretArn = z
  .string()
  .regex(
    /^arn:[\w-]+:secretsmanager:[\w-]+:\d{12}:secret:[\w/+=.@!-]+-\w{6}$/,
    'must be the complete ARN of a secret, with the six characters at its end and without a wildcard',
  );

export const topicArn = z
  .string()
  .regex(
    /^arn:[\w-]+:sns:[\w-]+:\d{12}:[A-Za-z0-9_-]{1,256}$/,
    'must be the ARN of a standard SNS topic (arn:aws:sns:REGION:ACCOUNT:NAME)',
  );

/** The id of a database in the ARN of rds-db:connect. It is not the name of the instance or the cluster. */
export const databaseResourceId = z
  .string()
  .regex(
    /^(db|cluster|prx)-[A-Za-z0-9]{5,60}$/,
    'must be the resource id of the instance (db-…), of the Aurora cluster (cluster-…) or of the proxy (prx-…), not its name: aws rds describe-db-instances or describe-db-clusters shows it as DbiResourceId or DbClusterResourceId',
  );

/** The name of a database role in the ARN of rds-db:connect, where * and ? would be wildcards and $ a variable. */
export const databaseUser = z
  .string()
  .regex(
    /^[A-Za-z0-9_.@+=,-]{1,63}$/,
    'must be the name of one database role, of letters, digits and _.@+=,- because it becomes part of an IAM policy',
  );

/** An alias can be moved to another key, and a policy that names one allows no key. */
export const kmsKeyArn = z
  .string()
  .regex(
    /^arn:[\w-]+:kms:[\w-]+:\d{12}:key\/[A-Za-z0-9-]+$/,
    'must be the ARN of a KMS key (arn:aws:kms:REGION:ACCOUNT:key/ID), not of an alias',
  );
