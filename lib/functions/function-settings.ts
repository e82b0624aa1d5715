import { Duration, Tokenization } from 'aws-cdk-lib';
import type { databaseVariablesSchema, Variables } from '../../lambdas/shared/database-variables.ts';
import type {
  buildVariablesSchema,
  checkMigrationsVariablesSchema,
  checkVariablesSchema,
  migrationsVariablesSchema,
  planVariablesSchema,
  reportVariablesSchema,
  sessionsVariablesSchema,
} from '../../lambdas/shared/function-variables.ts';
import type { preflightVariablesSchema } from '../../lambdas/shared/preflight-variables.ts';
import type { Environment } from '../config/environment-config.ts';
import type { EnvironmentResources } from '../config/environment-resources.ts';
import { sqlLimits } from '../config/migrations-config.ts';
import type { ResourceNames } from '../config/resource-names.ts';
import type { FunctionName } from './function-names.ts';
import { CERTIFICATES_FILE } from './ship-certificates.ts';

/** The longest time limit that Lambda allows. */
const LONGEST = Duration.minutes(15);

/** Part of an invocation of build-index that is neither of its two waits: connecting, catalog queries, the ledger. */
const BUILD_OVERHEAD_SECONDS = 120;

/** A batch begins builds for this long at most, so that its round ends, and lanes make what it has left. */
const LONGEST_BATCH_SECONDS = 600;

/** The time limit of each function. */
export const TIMEOUTS: Record<FunctionName, Duration> = {
  preflight: Duration.minutes(2),
  'check-sessions': Duration.minutes(1),
  'run-migrations': LONGEST,
  'check-migrations': Duration.minutes(1),
  'plan-builds': Duration.minutes(2),
  'build-index': LONGEST,
  'check-index': Duration.minutes(5),
  'settle-index': Duration.minutes(10),
  report: Duration.minutes(2),
};

/**
 * The memory of each function, in MB. Those with twice as much read the state of all indexes at once: 100,000 indexes of 5,000
 * tenants need up to 680 MB.
 */
export const MEMORY_MB: Record<FunctionName, number> = {
  preflight: 1024,
  'check-sessions': 512,
  'run-migrations': 512,
  'check-migrations': 512,
  'plan-builds': 1024,
  'build-index': 512,
  'check-index': 512,
  'settle-index': 512,
  report: 1024,
};

interface FunctionVariables extends Record<FunctionName, Record<string, string>> {
  preflight: Variables<typeof preflightVariablesSchema>;
  'check-sessions': Variables<typeof sessionsVariablesSchema>;
  'run-migrations': Variables<typeof migrationsVariablesSchema>;
  'check-migrations': Variables<typeof checkMigrationsVariablesSchema>;
  'plan-builds': Variables<typeof planVariablesSchema>;
  'build-index': Variables<typeof buildVariablesSchema>;
  'check-index': Variables<typeof checkVariablesSchema>;
  'settle-index': Variables<typeof databaseVariablesSchema>;
  report: Variables<typeof reportVariablesSchema>;
}

interface FunctionVariablesProps {
  names: ResourceNames;
  environment: Environment;
  resources: Pick<EnvironmentResources, 'databaseName'>;
  deployMachineArn: string;
}

/** The variables of each function, which the function checks with the same schema when it starts. */
export function variablesOf(props: FunctionVariablesProps): FunctionVariables {
  const { database, builds, migrations, services, drain, windowMinutes } = props.environment;
  const shared = {
    ...(database.secretArn && { DATABASE_SECRET_ARN: database.secretArn }),
    ...(database.user && { DATABASE_IAM_USER: database.user }),
    ...(database.name && { DATABASE_NAME: database.name }),
    ...(props.resources.databaseName && { DATABASE_DEFAULT_NAME: props.resources.databaseName }),
    ...(database.host && { DATABASE_HOST: database.host }),
    ...(database.port && { DATABASE_PORT: Tokenization.stringifyNumber(database.port) }),
    ...(database.searchPath && { SEARCH_PATH: JSON.stringify(database.searchPath) }),
    ...(database.trustedRoles.length > 0 && { TRUSTED_ROLES: JSON.stringify(database.trustedRoles) }),
    ...(database.showRowValues && { SHOW_ROW_VALUES: 'true' }),
    ...(database.caFile === undefined
      ? { RDS_CERTIFICATES_FILE: CERTIFICATES_FILE }
      : { DATABASE_CA_FILE: CERTIFICATES_FILE }),
    ...(database.serverName && { DATABASE_SERVER_NAME: database.serverName }),
    // Lambda's own copy of Amazon's authorities, which AWS updates: it can contain those of newer regions.
    NODE_EXTRA_CA_CERTS: '/var/runtime/ca-cert.pem',
  };
  const lockTimeout = { LOCK_TIMEOUT_SECONDS: String(builds.lockTimeoutSeconds) };
  const terminate = builds.terminateBlockers && {
    TERMINATE_IDLE_IN_TRANSACTION_SECONDS: String(builds.terminateBlockers.idleInTransactionSeconds),
  };
  const retired = { RETIRED_AFTER_DAYS: String(builds.retiredAfterDays) };
  const window = windowMinutes && { WINDOW_MINUTES: String(windowMinutes) };
  const longWait = LONGEST.toSeconds() - builds.lockTimeoutSeconds - BUILD_OVERHEAD_SECONDS;
  // The last build of a batch can begin at the end of it, and use both of its waits.
  const batch = Math.max(1, Math.min(LONGEST_BATCH_SECONDS, longWait - builds.waitSeconds));
  const runner = { MIGRATIONS: migrations.runner, WINDOW: props.environment.window };
  const sql = sqlLimits(migrations);
  return {
    preflight: {
      ...shared,
      ...runner,
      DEPLOY_MACHINE_ARN: props.deployMachineArn,
      ...(drain && drain.roles.length > 0 && { DRAIN_ROLES: JSON.stringify(drain.roles) }),
    },
    'check-sessions': {
      ...shared,
      DRAIN_ROLES: JSON.stringify(drain?.roles ?? []),
      DRAIN_APPLICATION_NAMES: JSON.stringify(drain?.applicationNames ?? []),
    },
    'run-migrations': {
      ...shared,
      LOCK_TIMEOUT_SECONDS: String(sql.lockTimeoutSeconds),
      MIGRATION_ATTEMPTS: String(sql.attempts),
    },
    'check-migrations': {
      ...shared,
      ...(migrations.runner === 'lambda' &&
        migrations.advisoryLock && { MIGRATION_LOCK: migrations.advisoryLock }),
    },
    'plan-builds': {
      ...shared,
      BUILDS_PER_ROUND: String(builds.perRound),
      MAX_CONCURRENT: String(builds.maxConcurrent),
      ...retired,
      ...window,
    },
    'build-index': {
      ...shared,
      ...lockTimeout,
      ...terminate,
      ...retired,
      BUILD_WAIT_SECONDS: String(builds.waitSeconds),
      LONG_WAIT_SECONDS: String(longWait),
      BUILD_ATTEMPTS: String(builds.attempts),
      BATCH_SECONDS: String(batch),
    },
    'check-index': { ...shared, ...lockTimeout, ...terminate },
    'settle-index': shared,
    report: {
      ...shared,
      ...runner,
      ENVIRONMENT_NAME: props.names.environmentName,
      SERVICES: services.map((service) => service.name).join(','),
      START_SERVICES_MACHINE: props.names.machines.startServices,
      BUILD_INDEXES_MACHINE: props.names.machines.buildIndexes,
    },
  };
}
