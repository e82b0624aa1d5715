import { type Duration, RemovalPolicy } from 'aws-cdk-lib';
import * as ecs from 'aws-cdk-lib/aws-ecs';
import * as logs from 'aws-cdk-lib/aws-logs';
import type { ISecret } from 'aws-cdk-lib/aws-secretsmanager';
import type { Construct } from 'constructs';

export interface SessionTasksProps {
  /** The secret of the database, with its host. */
  secret: ISecret | undefined;
  /** `application_name` of the session. */
  applicationName: string;
  /** How long the session continues after SIGTERM, in seconds. */
  secondsAfterSigterm: number;
  /** How long ECS waits between SIGTERM and SIGKILL. */
  stopTimeout: Duration;
  /** The first container. @default none: the session is the only one */
  first?: Omit<ecs.ContainerDefinitionOptions, 'logging' | 'stopTimeout'>;
}

/**
 * The script of the task. It holds a database session, also after SIGTERM, as an application does that finishes its requests.
 * The variables of libpq name the database.
 */
export function holdSession(secondsAfterSigterm: number): string {
  return `
trap 'sleep ${secondsAfterSigterm}; exit 0' TERM
while true; do
  printf 'select 1 \\\\watch 5\\n' | psql --no-psqlrc >/dev/null &
  wait $!
  sleep 1
done
`;
}

/** The smallest tasks of Fargate, with a container that holds a database session. */
export function sessionTasks(scope: Construct, id: string, props: SessionTasksProps): ecs.TaskDefinition {
  const { secret, applicationName, secondsAfterSigterm, stopTimeout, first } = props;
  if (secret === undefined) throw new Error('The database has no generated secret.');
  const field = (name: string) => ecs.Secret.fromSecretsManager(secret, name);
  const definition = new ecs.FargateTaskDefinition(scope, id, {
    cpu: 256,
    memoryLimitMiB: 512,
    runtimePlatform: { cpuArchitecture: ecs.CpuArchitecture.ARM64 },
  });
  const logging = ecs.LogDrivers.awsLogs({
    streamPrefix: 'tasks',
    logGroup: new logs.LogGroup(scope, `${id}Logs`, {
      retention: logs.RetentionDays.ONE_DAY,
      removalPolicy: RemovalPolicy.DESTROY,
    }),
  });
  if (first !== undefined) definition.addContainer('web', { ...first, stopTimeout, logging });
  definition.addContainer('session', {
    image: ecs.ContainerImage.fromRegistry('public.ecr.aws/docker/library/postgres:17-alpine'),
    entryPoint: ['/bin/sh', '-c'],
    command: [holdSession(secondsAfterSigterm)],
    environment: { PGAPPNAME: applicationName, PGSSLMODE: 'require' },
    secrets: {
      PGHOST: field('host'),
      PGPORT: field('port'),
      PGUSER: field('username'),
      PGPASSWORD: field('password'),
      PGDATABASE: field('dbname'),
    },
    stopTimeout,
    logging,
  });
  return definition;
}
