import { ArnFormat, type Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';
import * as lambda from 'aws-cdk-lib/aws-lambda';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type { DatabaseConfig } from '../config/database-config.ts';
import type { Environment } from '../config/environment-config.ts';
import type { EnvironmentResources } from '../config/environment-resources.ts';
import type { ResourceNames } from '../config/resource-names.ts';
import { type LogSettings, logGroup } from '../logs/log-settings.ts';
import { FUNCTIONS, type FunctionName } from './function-names.ts';
import { allowOnlyOwnLogsAndNetwork } from './function-role.ts';
import { MEMORY_MB, TIMEOUTS, variablesOf } from './function-settings.ts';

/** Without the constant of this name, which older versions of the CDK do not have. */
const RUNTIME = new lambda.Runtime('nodejs24.x', lambda.RuntimeFamily.NODEJS, { supportsInlineCode: true });

export interface WorkflowFunctionsProps {
  names: ResourceNames;
  environment: Environment;
  resources: Pick<EnvironmentResources, 'network' | 'secret' | 'databaseName'>;
  /** The folder of each function's bundle. */
  bundles: Record<FunctionName, string>;
  logs: LogSettings;
}

/**
 * The Lambda functions of the workflow. They run in the configured VPC and may read the database secret; preflight may
 * also list and read the executions of `deploy`. The state machines invoke published versions, so that an update of the stack does
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
    const deployMachineArn = statesArn(this, 'stateMachine', props.names.machines.deploy);
    const variables = variablesOf({ ...props, deployMachineArn });
    const { network, secret } = props.resources;
    const mayLogIn = loginRightsOf(this, props.environment.database, secret);
    const create = (name: FunctionName): lambda.Function => {
      const functionName = this.#nameOf(name);
      const logs = logGroup(this, `${pascalCase(name)}Logs`, `/aws/lambda/${functionName}`, props.logs);
      const fn = new lambda.Function(this, pascalCase(name), {
        functionName,
        description: `pg-deploy-step: ${name}`,
        runtime: RUNTIME,
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
      if (name === 'preflight') {
        for (const statement of mayFindDeploys(this, props)) fn.addToRolePolicy(statement);
      }
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

/** Preflight checks that no other deploy is running, and reads which of the running ones only plan. */
function mayFindDeploys(
  scope: Construct,
  { names, environment }: Pick<WorkflowFunctionsProps, 'names' | 'environment'>,
): PolicyStatement[] {
  const { deploy } = names.machines;
  const { stateMachineKeyArn } = environment.stack;
  const machine = statesArn(scope, 'stateMachine', deploy);
  return [
    new PolicyStatement({ actions: ['states:ListExecutions'], resources: [machine] }),
    new PolicyStatement({
      actions: ['states:DescribeExecution'],
      resources: [statesArn(scope, 'execution', `${deploy}:*`)],
    }),
    // The key encrypts the input of executions too: see encrypt-machines.ts.
    ...(stateMachineKeyArn === undefined
      ? []
      : [
          new PolicyStatement({
            actions: ['kms:Decrypt'],
            resources: [stateMachineKeyArn],
            conditions: { StringEquals: { 'kms:EncryptionContext:aws:states:stateMachineArn': machine } },
          }),
        ]),
  ];
}

function statesArn(scope: Construct, resource: string, resourceName: string): string {
  return Stack.of(scope).formatArn({
    ...{ service: 'states', resource, resourceName },
    arnFormat: ArnFormat.COLON_RESOURCE_NAME,
  });
}

/** Gives a function what it needs to log in to the database: to read the secret, or to connect as one role with IAM. */
function loginRightsOf(
  scope: Construct,
  { secretKeyArn, user, resourceId }: DatabaseConfig,
  secret: ISecret | undefined,
): (fn: lambda.Function) => void {
  if (secret === undefined) {
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
  const { encryptionKey } = secret;
  const keyArn = secretKeyArn ?? encryptionKey?.keyArn;
  const decryption = keyArn === undefined ? [] : [mayDecrypt(scope, keyArn)];
  return (fn) => {
    if (encryptionKey === undefined) secret.grantRead(fn);
    else fn.addToRolePolicy(mayRead(secret));
    for (const statement of decryption) fn.addToRolePolicy(statement);
  };
}

/** `grantRead` would also write the role into the policy of the key, whose stack would then depend on this one. */
function mayRead({ secretFullArn, secretArn }: ISecret): PolicyStatement {
  return new PolicyStatement({
    actions: ['secretsmanager:GetSecretValue', 'secretsmanager:DescribeSecret'],
    resources: [secretFullArn ?? `${secretArn}-??????`],
  });
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
