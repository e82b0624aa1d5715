import { Token } from 'aws-cdk-lib';
import { type Environment, type EnvironmentInput, parseEnvironment } from '../config/environment-config.ts';
import type { ResolvedDatabase } from './database-of.ts';
import type { DatabaseOptions, DeployStepProps } from './deploy-step-props.ts';
import type { ResolvedService } from './services-of.ts';

/** Stands for ARNs and names that only CloudFormation knows, while the other values are checked. */
const PLACEHOLDER = {
  secretArn: 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:placeholder-AbCdEf',
  managedSecretArn: 'arn:aws:secretsmanager:eu-west-1:000000000000:secret:rds!placeholder-AbCdEf',
  resourceId: 'cluster-PLACEHOLDER',
  keyArn: 'arn:aws:kms:eu-west-1:000000000000:key/00000000-0000-0000-0000-000000000000',
  roleArn: 'arn:aws:iam::000000000000:role/placeholder',
  functionArn: (at: number) => `arn:aws:lambda:eu-west-1:000000000000:function:placeholder${at}`,
  uuid: (at: number) => `00000000-0000-4000-8000-${String(at).padStart(12, '0')}`,
} as const;

/** What was found out about the properties before. */
interface Resolved {
  /** Path of the construct, for messages. */
  readonly construct: string;
  readonly environmentName: string;
  readonly services: readonly ResolvedService[];
  readonly database: ResolvedDatabase;
}

/** Checks all values that are known now, and then puts in the names that only CloudFormation knows. */
export function environmentOf(
  props: DeployStepProps,
  { construct, environmentName, services, database }: Resolved,
): Environment {
  const { alerts = {}, logs = {}, databaseOptions = {} } = props;
  const environment = parseEnvironment(construct, environmentName, {
    ...optionsOf(props),
    ...(props.migrations !== undefined && { migrations: props.migrations }),
    database: databaseInput(databaseOptions, database),
    services: services.map(({ service }, at) => withPlaceholders(service, at)),
    alerts: {
      emails: [...(alerts.emails ?? [])],
      ...(alerts.topic && { topicArn: 'arn:aws:sns:eu-west-1:000000000000:placeholder' }),
    },
    logs: {
      ...(logs.key && { kmsKeyArn: PLACEHOLDER.keyArn }),
      ...(logs.retentionDays !== undefined && { retentionDays: logs.retentionDays as 90 }),
      ...(logs.executionData !== undefined && { executionData: logs.executionData }),
    },
    stack: {
      ...(props.namePrefix !== undefined && { namePrefix: props.namePrefix }),
      retain: props.retain ?? false,
    },
  });
  return {
    ...environment,
    database: {
      ...environment.database,
      ...(database.secret && { secretArn: database.secret.secretArn }),
      ...(database.port !== undefined && { port: database.port }),
      ...(database.iam && { resourceId: database.iam.resourceId }),
    },
    services: services.map(({ service }) => service),
    stack: { ...environment.stack, stateMachineKeyArn: props.stateMachineKey?.keyArn },
  };
}

const OPTIONS = [
  ...[
    'builds',
    'onMigrationFailure',
    'onCriticalFailure',
    'deploymentMinutes',
    'stopMinutes',
    'startMinutes',
    'holdMinutes',
  ],
  ...['steadyChecks', 'windowMinutes', 'window', 'drain', 'pollSeconds', 'alarms', 'stoppedMinutes'],
] as readonly (keyof DeployStepProps & keyof EnvironmentInput)[];

function optionsOf(props: DeployStepProps): Partial<EnvironmentInput> {
  return Object.fromEntries(
    OPTIONS.flatMap((name) => (props[name] === undefined ? [] : [[name, props[name]]])),
  );
}

function databaseInput(
  options: DatabaseOptions,
  { secret, isManaged, host, name, iam }: ResolvedDatabase,
): EnvironmentInput['database'] {
  const { iam: _iam, port: _port, trustedRoles, searchPath, ...others } = options;
  return {
    ...others,
    ...(host !== undefined && { host }),
    ...(name !== undefined && { name }),
    ...(trustedRoles && { trustedRoles: [...trustedRoles] }),
    ...(searchPath && { searchPath: [...searchPath] }),
    ...(secret && { secretArn: isManaged ? PLACEHOLDER.managedSecretArn : PLACEHOLDER.secretArn }),
    ...(iam && { authentication: 'iam' as const, user: iam.user, resourceId: known(iam.resourceId) }),
  };
}

/** A resource id that only CloudFormation knows is checked with a placeholder. */
function known(resourceId: string): string {
  return Token.isUnresolved(resourceId) ? PLACEHOLDER.resourceId : resourceId;
}

/** The ARN of a role that only CloudFormation knows is not checked. */
function knownRole(arn: string): string {
  return Token.isUnresolved(arn) ? 'none' : arn;
}

/** A service that has a name only in CloudFormation is checked with a placeholder, so that its own name is checked. */
function withPlaceholders(service: ResolvedService['service'], at: number): ResolvedService['service'] {
  switch (service.kind) {
    case 'ecs':
      return {
        ...service,
        ...{ cluster: `cluster${at}`, service: `service${at}` },
        ...(service.roles && {
          roles: { task: knownRole(service.roles.task), execution: knownRole(service.roles.execution) },
        }),
      };
    case 'event-rule':
      return { ...service, rule: `rule${at}`, eventBus: 'default' };
    case 'event-source-mapping':
      return { ...service, uuid: PLACEHOLDER.uuid(at) };
    case 'schedule':
      return {
        ...service,
        schedule: `schedule${at}`,
        group: 'default',
        role: PLACEHOLDER.roleArn,
        ...(service.key !== undefined && { key: PLACEHOLDER.keyArn }),
      };
    case 'custom':
      return { ...service, function: PLACEHOLDER.functionArn(at) };
  }
}
