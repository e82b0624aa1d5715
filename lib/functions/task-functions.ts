import { Annotations, ArnFormat, Duration, RemovalPolicy, Stack } from 'aws-cdk-lib';
import * as ec2 from 'aws-cdk-lib/aws-ec2';
import { PolicyStatement } from 'aws-cdk-lib/aws-iam';

import * as lambda from 'aws-cdk-lib/aws-lambda';
import * as logs from 'aws-cdk-lib/aws-logs';
import * as secretsmanager from 'aws-cdk-lib/aws-secretsmanager';
import { Construct } from 'constructs';
import type {
  buildVariablesSchema,
  checkVariablesSchema,
  databaseVariablesSchema,
  migrationsVariablesSchema,
  planVariablesSchema,
  preflightVariablesSchema,
  reportVariablesSchema,
  sessionsVariablesSchema,
  Variables,
} from '../../lambdas/shared/function-variables.ts';
import type { Environment } from '../config/environment.ts';
import type { MachineNames } from '../workflow/machine-names.ts';
import { TASKS, type Task } from './bundle.ts';

/** The longest that a Lambda function may run. */
const LONGEST = Duration.minutes(15);

/** What is left of an invocation beside its two waits, for all that is quick: connecting, looking, the ledger. */
const BUILD_OVERHEAD_SECONDS = 120;

const MEMORY_MB = 512;

export interface TaskFunctionsProps {
  environmentName: string;
  environment: Environment;
  /** Folder of each task's bundle. */
  bundles: Record<Task, string>;
  machines: MachineNames;
}

/**
 * The Lambda functions of the workflow, in the VPC, with read access to the database secret and to nothing else.
 * The workflow invokes published versions, so that a deployment does not change the code under a running execution.
 */
export class TaskFunctions extends Construct {
  readonly versions: Record<Task, lambda.Version>;
  readonly timeouts: Record<Task, Duration>;

  constructor(scope: Construct, id: string, props: TaskFunctionsProps) {
    super(scope, id);
    this.timeouts = timeoutsOf();
    const deployMachineArn = Stack.of(this).formatArn({
      service: 'states',
      resource: 'stateMachine',
      resourceName: props.machines.deploy,
      arnFormat: ArnFormat.COLON_RESOURCE_NAME,
    });
    const variables = variablesOf(props, deployMachineArn);
    const network = networkOf(this, props.environment);
    const { secretArn, secretKeyArn } = props.environment.database;
    const secret = secretsmanager.Secret.fromSecretCompleteArn(this, 'DatabaseSecret', secretArn);
    const decryption = secretKeyArn === undefined ? [] : [mayDecrypt(this, secretKeyArn)];
    const create = (task: Task): lambda.Version => {
      const name = `pg-deploy-step-${props.environmentName}-${task}`;
      const fn = new lambda.Function(this, pascalCase(task), {
        functionName: name,
        description: `pg-deploy-step: ${task}`,
        runtime: lambda.Runtime.NODEJS_24_X,
        architecture: lambda.Architecture.ARM_64,
        handler: 'index.handler',
        code: lambda.Code.fromAsset(props.bundles[task]),
        memorySize: MEMORY_MB,
        timeout: this.timeouts[task],
        tracing: lambda.Tracing.ACTIVE,
        environment: variables[task],
        logGroup: new logs.LogGroup(this, `${pascalCase(task)}Logs`, {
          logGroupName: `/aws/lambda/${name}`,
          retention: logs.RetentionDays.THREE_MONTHS,
          removalPolicy: RemovalPolicy.DESTROY,
        }),
        // A version that a running execution still invokes must outlive the next deployment.
        currentVersionOptions: { removalPolicy: RemovalPolicy.RETAIN },
        ...network,
      });
      secret.grantRead(fn);
      for (const statement of decryption) fn.addToRolePolicy(statement);
      if (task === 'preflight') fn.addToRolePolicy(mayListExecutions(deployMachineArn));
      return fn.currentVersion;
    };
    this.versions = Object.fromEntries(TASKS.map((task) => [task, create(task)])) as Record<
      Task,
      lambda.Version
    >;
  }
}

/** The guard against two deploys at once looks which executions run. */
function mayListExecutions(deployMachineArn: string): PolicyStatement {
  return new PolicyStatement({ actions: ['states:ListExecutions'], resources: [deployMachineArn] });
}

function timeoutsOf(): Record<Task, Duration> {
  return {
    preflight: Duration.minutes(2),
    'check-sessions': Duration.minutes(1),
    'run-migrations': LONGEST,
    'plan-builds': Duration.minutes(2),
    'build-index': LONGEST,
    'check-index': Duration.minutes(5),
    'settle-index': Duration.minutes(10),
    report: Duration.minutes(2),
  };
}

interface TaskVariables extends Record<Task, Record<string, string>> {
  preflight: Variables<typeof preflightVariablesSchema>;
  'check-sessions': Variables<typeof sessionsVariablesSchema>;
  'run-migrations': Variables<typeof migrationsVariablesSchema>;
  'plan-builds': Variables<typeof planVariablesSchema>;
  'build-index': Variables<typeof buildVariablesSchema>;
  'check-index': Variables<typeof checkVariablesSchema>;
  'settle-index': Variables<typeof databaseVariablesSchema>;
  report: Variables<typeof reportVariablesSchema>;
}

function variablesOf(props: TaskFunctionsProps, deployMachineArn: string): TaskVariables {
  const { database, builds, migrations, services, drain, windowMinutes } = props.environment;
  const shared = {
    DATABASE_SECRET_ARN: database.secretArn,
    ...(database.name && { DATABASE_NAME: database.name }),
    ...(database.host && { DATABASE_HOST: database.host }),
    ...(database.port && { DATABASE_PORT: String(database.port) }),
    // Node does not load Amazon's authorities by itself, and RDS certificates are signed by them.
    NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem',
    POWERTOOLS_LOG_LEVEL: 'INFO',
  };
  const lockTimeout = { LOCK_TIMEOUT_SECONDS: String(builds.lockTimeoutSeconds) };
  const terminate = builds.terminateBlockers && {
    TERMINATE_IDLE_IN_TRANSACTION_SECONDS: String(builds.terminateBlockers.idleInTransactionSeconds),
  };
  const window = windowMinutes && { WINDOW_MINUTES: String(windowMinutes) };
  const patience = LONGEST.toSeconds() - builds.lockTimeoutSeconds - BUILD_OVERHEAD_SECONDS;
  const migrationsVariable = { MIGRATIONS: migrations.runner };
  return {
    preflight: { ...shared, ...migrationsVariable, DEPLOY_MACHINE_ARN: deployMachineArn },
    'check-sessions': {
      ...shared,
      DRAIN_ROLES: JSON.stringify(drain?.roles ?? []),
      DRAIN_APPLICATION_NAMES: JSON.stringify(drain?.applicationNames ?? []),
    },
    'run-migrations': { ...shared, ...lockTimeout },
    'plan-builds': { ...shared, BUILDS_A_ROUND: String(builds.perRound), ...window },
    'build-index': {
      ...shared,
      ...lockTimeout,
      ...terminate,
      BUILD_WAIT_SECONDS: String(builds.waitSeconds),
      PATIENT_WAIT_SECONDS: String(patience),
      BUILD_ATTEMPTS: String(builds.attempts),
    },
    'check-index': { ...shared, ...lockTimeout, ...terminate },
    'settle-index': shared,
    report: {
      ...shared,
      ...migrationsVariable,
      ENVIRONMENT_NAME: props.environmentName,
      SERVICES: services.map((service) => service.name).join(','),
      START_SERVICES_MACHINE: props.machines.startServices,
      BUILD_INDEXES_MACHINE: props.machines.buildIndexes,
    },
  };
}

function networkOf(scope: Construct, environment: Environment): Partial<lambda.FunctionOptions> {
  const { network } = environment;
  if (network === undefined) return {};
  const vpc = ec2.Vpc.fromVpcAttributes(scope, 'Vpc', {
    vpcId: network.vpcId,
    availabilityZones: network.availabilityZones,
    privateSubnetIds: network.subnetIds,
  });
  Annotations.of(vpc).acknowledgeWarning('@aws-cdk/aws-ec2:noSubnetRouteTableId', 'No route is made.');
  return {
    vpc,
    vpcSubnets: { subnetType: ec2.SubnetType.PRIVATE_WITH_EGRESS },
    securityGroups: network.securityGroupIds.map((id, at) =>
      ec2.SecurityGroup.fromSecurityGroupId(scope, `SecurityGroup${at}`, id, { mutable: false }),
    ),
  };
}

/** Said outright: `grantRead` would write it into the policy of the key, which an imported key does not take. */
function mayDecrypt(scope: Construct, keyArn: string): PolicyStatement {
  return new PolicyStatement({
    actions: ['kms:Decrypt'],
    resources: [keyArn],
    conditions: {
      StringEquals: { 'kms:ViaService': `secretsmanager.${Stack.of(scope).region}.amazonaws.com` },
    },
  });
}

function pascalCase(task: Task): string {
  return task.replace(/(^|-)(\w)/g, (_match, _dash, letter: string) => letter.toUpperCase());
}
