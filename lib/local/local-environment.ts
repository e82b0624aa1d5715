import { type Environment, type EnvironmentInput, environmentSchema } from '../config/environment-config.ts';
import { resourceNamesOf } from '../config/resource-names.ts';
import type { EcsService } from '../config/services-config.ts';

/** Name of the environment of local runs. */
export const LOCAL_ENVIRONMENT = 'local';

/** Names of the resources of local runs. */
export const LOCAL_NAMES = resourceNamesOf(LOCAL_ENVIRONMENT);

export interface LocalEnvironmentOptions {
  /** Folder with SQL migrations, "none", or another runner. */
  migrations: EnvironmentInput['migrations'];
  services: EcsService[];
  /** Roles that are trusted like the deploy role. @default none */
  trustedRoles?: string[];
  /** Schemas in which names in definitions and migrations are looked up. @default the search path of the role */
  searchPath?: string[] | undefined;
  /** Whether errors contain values of rows. @default false */
  showRowValues?: boolean | undefined;
  /** When a deploy stops the services. @default as in AWS */
  window?: Environment['window'] | undefined;
  maxConcurrent?: number;
  lockTimeoutSeconds?: number;
  attempts?: number;
  /** How long no query must have scanned a retired index before it is dropped, in days. @default as in AWS */
  retiredAfterDays?: number;
  when?: Environment['builds']['when'];
  /** How long Build Index waits for its statement, in seconds. @default as in AWS */
  waitSeconds?: number;
  /** Longest pause between two attempts, in seconds. @default as in AWS */
  maxPauseSeconds?: number;
  /** Number of builds in one round of build-indexes. @default as in AWS */
  perRound?: number;
  /** @default no session is terminated */
  terminateBlockers?: Environment['builds']['terminateBlockers'];
}

/** The environment of a local run: as in AWS, with shorter intervals and timeouts, because local services stop quickly. */
export function localEnvironment(options: LocalEnvironmentOptions): Environment {
  const { migrations, services, trustedRoles, searchPath, showRowValues, window, ...builds } = options;
  return environmentSchema.parse({
    // The local functions do not read this secret. They get DATABASE_URL: see LocalWorkflow.
    database: {
      secretArn: 'arn:aws:secretsmanager:local:000000000000:secret:database-local0',
      trustedRoles,
      searchPath,
      showRowValues,
    },
    migrations,
    services,
    window,
    pollSeconds: 1,
    deploymentMinutes: 1,
    stopMinutes: 1,
    startMinutes: 1,
    builds,
  });
}
