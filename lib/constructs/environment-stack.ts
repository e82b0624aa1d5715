import { Annotations, Stack, type StackProps } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { ManagedPolicy, PermissionsBoundary } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { Secret } from 'aws-cdk-lib/aws-secretsmanager';
import { Topic } from 'aws-cdk-lib/aws-sns';
import type { Construct } from 'constructs';
import type { CompiledFiles } from '../compile/compiled-files.ts';
import type { DatabaseConfig } from '../config/database-config.ts';
import type { Environment } from '../config/environment-config.ts';
import { DeployStep } from './deploy-step.ts';
import type { DatabaseOptions, DeployStepProps } from './deploy-step-props.ts';
import { addOutputs } from './deploy-step-stack.ts';

/** Properties of EnvironmentStack. */
export interface EnvironmentStackProps extends StackProps {
  /** Name of the environment in cdk.json. */
  readonly environmentName: string;
  /** The environment of that name: see `parseEnvironments`. */
  readonly environment: Environment;
  /** The paths in the environment are relative to this folder. @default the working directory */
  readonly projectRoot?: string;
  /** The registry and the migrations, compiled before. @default they are compiled and linted */
  readonly files?: CompiledFiles;
}

/** The stack of one environment of cdk.json: a DeployStep whose resources are named by their ARNs and ids. */
export class EnvironmentStack extends Stack {
  readonly deployStep: DeployStep;

  constructor(scope: Construct, id: string, props: EnvironmentStackProps) {
    const { environmentName, environment, projectRoot, files, ...stackProps } = props;
    const { terminationProtection, permissionsBoundary, tags } = environment.stack;
    super(scope, id, {
      ...stackProps,
      ...(terminationProtection && { terminationProtection }),
      tags: { ...stackProps.tags, ...tags },
    });
    if (permissionsBoundary !== undefined) {
      const boundary = ManagedPolicy.fromManagedPolicyArn(this, 'PermissionsBoundary', permissionsBoundary);
      PermissionsBoundary.of(this).apply(boundary);
    }
    this.deployStep = new DeployStep(this, 'Default', {
      ...propsOf(this, environment),
      environmentName,
      ...(projectRoot !== undefined && { projectRoot }),
      ...(files && { files }),
    });
    addOutputs(this, this.deployStep);
  }
}

function propsOf(scope: Construct, environment: Environment): DeployStepProps {
  const {
    network: _network,
    database,
    alerts,
    logs,
    stack,
    account: _account,
    region: _region,
    ...options
  } = environment;
  const { topicArn, kmsKeyArn, emails } = alerts;
  const { namePrefix, retain, stateMachineKeyArn } = stack;
  const keyOf = (id: string, arn: string) => Key.fromKeyArn(scope, id, arn);
  return {
    ...options,
    ...databaseProps(scope, database),
    ...networkProps(scope, environment),
    alerts: {
      emails,
      ...(topicArn !== undefined && { topic: Topic.fromTopicArn(scope, 'AlertTopic', topicArn) }),
      ...(kmsKeyArn !== undefined && { key: keyOf('AlertKey', kmsKeyArn) }),
    },
    logs: {
      retentionDays: logs.retentionDays,
      executionData: logs.executionData,
      ...(logs.kmsKeyArn !== undefined && { key: keyOf('LogsKey', logs.kmsKeyArn) }),
    },
    ...(stateMachineKeyArn !== undefined && {
      stateMachineKey: keyOf('StateMachineKey', stateMachineKeyArn),
    }),
    ...(namePrefix !== undefined && { namePrefix }),
    retain,
  };
}

function databaseProps(
  scope: Construct,
  { authentication: _authentication, secretArn, user, resourceId, ...options }: DatabaseConfig,
): Pick<DeployStepProps, 'secret' | 'databaseOptions'> {
  const iam = user !== undefined && resourceId !== undefined && { iam: { user, resourceId } };
  // DatabaseOptions has no fields that are undefined.
  const databaseOptions = { ...options, ...iam } as DatabaseOptions;
  return {
    databaseOptions,
    ...(secretArn !== undefined && {
      secret: Secret.fromSecretCompleteArn(scope, 'DatabaseSecret', secretArn),
    }),
  };
}

function networkProps(
  scope: Construct,
  { network }: Environment,
): Pick<DeployStepProps, 'vpc' | 'vpcSubnets' | 'securityGroups'> {
  if (network === undefined) return {};
  const vpc = ec2.Vpc.fromVpcAttributes(scope, 'Vpc', {
    vpcId: network.vpcId,
    availabilityZones: network.availabilityZones,
    privateSubnetIds: network.subnetIds,
  });
  Annotations.of(vpc).acknowledgeWarning(
    '@aws-cdk/aws-ec2:noSubnetRouteTableId',
    'The stack creates no route.',
  );
  return {
    vpc,
    vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
    securityGroups: network.securityGroupIds.map((id, at) =>
      ec2.SecurityGroup.fromSecurityGroupId(scope, `SecurityGroup${at}`, id, { mutable: false }),
    ),
  };
}
