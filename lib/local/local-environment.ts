import {
  type EcsService,
  type Environment,
  type EnvironmentInput,
  environmentSchema,
} from '../config/environment.ts';

/** Name of the environment that runs on this machine. */
export const LOCAL_ENVIRONMENT = 'local';

export interface LocalEnvironmentOptions {
  /** Folder with SQL migrations, "none", or a runner. */
  migrations: EnvironmentInput['migrations'];
  services: EcsService[];
  maxConcurrent?: number;
  lockTimeoutSeconds?: number;
  attempts?: number;
  when?: Environment['builds']['when'];
  /** How long Build Index waits for its own statement, in seconds. @default as in AWS */
  waitSeconds?: number;
  /** Longest pause between two attempts, in seconds. @default as in AWS */
  maxPauseSeconds?: number;
  /** Builds that one execution of build-indexes takes on. @default as in AWS */
  perRound?: number;
  /** @default no session is ever ended */
  terminateBlockers?: Environment['builds']['terminateBlockers'];
}

/** The environment of a run on this machine: as in AWS, but for looks at the services, which stop within moments here. */
export function localEnvironment(options: LocalEnvironmentOptions): Environment {
  const {
    migrations,
    services,
    maxConcurrent,
    lockTimeoutSeconds,
    attempts,
    when,
    waitSeconds,
    maxPauseSeconds,
    perRound,
    terminateBlockers,
  } = options;
  return environmentSchema.parse({
    // The local functions get the address itself: see LocalWorkflow.
    database: { secretArn: 'arn:aws:secretsmanager:local:000000000000:secret:database-local0' },
    migrations,
    services,
    pollSeconds: 1,
    stopMinutes: 1,
    startMinutes: 1,
    builds: {
      maxConcurrent,
      lockTimeoutSeconds,
      attempts,
      when,
      waitSeconds,
      maxPauseSeconds,
      perRound,
      terminateBlockers,
    },
  });
}
