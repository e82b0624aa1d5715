import { Annotations, ArnFormat, type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { DatabaseConfig } from '../config/database-config.ts';
import type { Environment } from '../config/environment-config.ts';
import type { ResourceNames } from '../config/resource-names.ts';
import { type LogSettings, logGroup } from '../logs/log-settings.ts';
import { FUNCTIONS, type FunctionName } from './bundle-functions.ts';
import { allowOnlyOwnLogsAndNetwork } from './function-role.ts';
import { MEMORY_MB, TIMEOUTS, variablesOf } from './function-settings.ts';

export interface WorkflowFunctionsProps {
  names: ResourceNames;
  environment: Environment;
  /** The folder of each function's bundle. */
  bundles: Record<FunctionName, string>;
  logs: LogSettings;
}

/**
 * The Lambda functions of the workflow. They run in the configured VPC and may read the database secret; preflight may
 * also list the executions of `deploy`. The state machines invoke published versions, so that an update of the stack does
 * not change the code of a running execution.
 */
export class WorkflowFunctions extends Construct {
  readonly versions: Record<FunctionName, lambda.Version>;
  readonly timeouts: Record<FunctionName, Duration> = TIMEOUTS;
  readonly #functions: Record<FunctionName, lambda.Function>;
  readonly #nameOf: (name: FunctionName) => string;

  constructor(scope: Construct, id: string, props: WorkflowFunctionsProps) {
    super(scope, id);
    this.#nameOf = (name) => `${props.names.stack}-${name}`;
    const deployMachineArn = Stack.of(this).formatArn({
      service: 'states',
      resource: 'stateMachine',
      resourceName: props.names.machines.deploy,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    const variables = variablesOf({ ...props, deployMachineArn });
    const network = networkOf(this, props.environment);
    const mayLogIn = loginRightsOf(this, props.environment.database);
    const create = (name: FunctionName): lambda.Function => {
      const functionName = this.#nameOf(name);
      const logs = logGroup(this, `${pascalCase(name)}Logs`, `/aws/lambda/${functionName}`, props.logs);
      const fn = new lambda.Function(this, pascalCase(name), {
        functionName,
        description: `pg-deploy-step: ${name}`,
        runtime: lambda.Runtime.NODEJS_24_X,
        architecture: lambda.Architecture.ARM_64,
        handler: 'index.handler',
        code: lambda.Code.fromAsset(props.bundles[name]),
        memorySize: MEMORY_MB[name],
        timeout: this.timeouts[name],
        tracing: lambda.Tracing.ACTIVE,
        environment: variables[name],
        logGroup: logs,
        // A running execution may still invoke an old version after the stack is updated.
        currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
        ...network,
      });
      allowOnlyOwnLogsAndNetwork(fn, logs);
      mayLogIn(fn);
      if (name === 'preflight') fn.addToRolePolicy(mayListExecutions(deployMachineArn));
      return fn;
    };
    this.#functions = forEachFunction(create);
    this.versions = forEachFunction((name) => this.#functions[name].currentVersion);
  }

  /** The functions by their full names, in all versions. */
  get byName(): Record<string, lambda.IFunction> {
    return Object.fromEntries(FUNCTIONS.map((name) => [this.#nameOf(name), this.#functions[name]]));
  }

  /**
   * The permission to invoke functions in each of their versions. Step Functions uses the current policy of a role also for
   * executions that started before an update of the stack, and these invoke the versions with which they started.
   */
  mayInvoke(...names: FunctionName[]): PolicyStatement {
    return new PolicyStatement({
      actions: ['lambda:InvokeFunction'],
      resources: names.flatMap((name) => {
        const { functionArn } = this.#functions[name];
        return [functionArn, `${functionArn}:*`];
      }),
    });
  }
}

function forEachFunction<T>(of: (name: FunctionName) => T): Record<FunctionName, T> {
  return Object.fromEntries(FUNCTIONS.map((name) => [name, of(name)])) as Record<FunctionName, T>;
}

/** Preflight checks that no other deploy is running. */
function mayListExecutions(deployMachineArn: string): PolicyStatement {
  return new PolicyStatement({ actions: ['states:ListExecutions'], resources: [deployMachineArn] });
}

function networkOf(scope: Construct, environment: Environment): Partial<lambda.FunctionOptions> {
  const { network } = environment;
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

/** Gives a function what it needs to log in to the database: to read the secret, or to connect as one role with IAM. */
function loginRightsOf(scope: Construct, database: DatabaseConfig): (fn: lambda.Function) => void {
  const { secretArn, secretKeyArn, user, resourceId } = database;
  if (secretArn === undefined) {
    const connect = new PolicyStatement({
      actions: ['rds-db:connect'],
      resources: [
        Stack.of(scope).formatArn({
          service: 'rds-db',
          resource: 'dbuser',
          resourceName: `${resourceId}/${user}`,
          arnFormat: ArnFormat.COLON_RESOURCE_NAME,
        }),
      ],
    });
    return (fn) => fn.addToRolePolicy(connect);
  }
  const secret = secretsmanager.Secret.fromSecretCompleteArn(scope, 'DatabaseSecret', secretArn);
  const decryption = secretKeyArn === undefined ? [] : [mayDecrypt(scope, secretKeyArn)];
  return (fn) => {
    secret.grantRead(fn);
    for (const statement of decryption) fn.addToRolePolicy(statement);
  };
}

/** `grantRead` would add this permission to the policy of the key, which is impossible for an imported key. */
function mayDecrypt(scope: Construct, keyArn: string): PolicyStatement {
  return new PolicyStatement({
    actions: ['kms:Decrypt'],
    resources: [keyArn],
    conditions: {
      StringEquals: { 'kms:ViaService': `secretsmanager.${Stack.of(scope).region}.amazonaws.com` },
    },
  });
}

function pascalCase(name: FunctionName): string {
  return name.replace(/(^|-)(\w)/g, (_match, _dash, letter: string) => letter.toUpperCase());
}
