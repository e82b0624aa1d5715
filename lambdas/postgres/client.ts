import pg, { type ClientConfig } from 'pg';
import type { DatabaseEnvironment } from '../shared/environment.ts';
import { ConnectionLost } from '../shared/errors.ts';
import { readCredentials, readSecretFromAws } from './credentials.ts';
import { clipBytes } from './identifiers.ts';
import {
  describeDatabaseError,
  INVALID_PASSWORD,
  isConnectionError,
  sqlstateOf,
  toDeployStepError,
} from './sqlstate.ts';

export type Client = pg.Client;

/** Opens connections to one database. `task` becomes part of the session's application_name. */
export interface Database {
  connect(task: string): Promise<Client>;
}

/** Longest wait for a connection, in milliseconds: a name that does not answer must not eat the invocation. */
const CONNECTION_TIMEOUT_MS = 15_000;

/** NAT gateways and balancers drop idle TCP connections after 350 s without a word to either side. */
const KEEP_ALIVE_DELAY_MS = 10_000;

/**
 * The database of a function. Credentials are read at the first connection and once more when the server refuses the
 * password, because a rotation may have come between.
 */
export function databaseOf(environment: DatabaseEnvironment, readSecret = readSecretFromAws): Database {
  let credentials: Promise<ClientConfig> | undefined;
  const current = () => {
    credentials ??= readCredentials(environment, readSecret);
    // A failed read must not stay: the next attempt asks again.
    credentials.catch(() => {
      credentials = undefined;
    });
    return credentials;
  };
  return {
    async connect(task) {
      try {
        return await open(await current(), task);
      } catch (error) {
        if (sqlstateOf(error) !== INVALID_PASSWORD || environment.DATABASE_SECRET_ARN === undefined)
          throw asConnectError(error);
        credentials = undefined;
        return await open(await current(), task).catch((again) => {
          throw asConnectError(again);
        });
      }
    },
  };
}

async function open(config: ClientConfig, task: string): Promise<Client> {
  const client = new pg.Client({
    ...config,
    application_name: clipBytes(`pg-deploy-step ${task}`),
    connectionTimeoutMillis: CONNECTION_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
  });
  // Without a listener a connection that is lost while idle ends the process; the next query reports it anyway.
  client.on('error', () => {});
  try {
    await client.connect();
  } catch (error) {
    client.end().catch(() => {});
    throw error;
  }
  return client;
}

function asConnectError(error: unknown): Error {
  if (isConnectionError(error) || (error instanceof Error && error.message.includes('timeout'))) {
    return new ConnectionLost(`The database cannot be reached: ${describeDatabaseError(error)}`, {
      sqlstate: sqlstateOf(error),
      cause: error,
    });
  }
  return toDeployStepError(error, 'The database refused the connection');
}

/** Hands out one connection and closes it whatever happens. */
export async function withClient<T>(
  database: Database,
  task: string,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await database.connect(task);
  try {
    return await use(client);
  } finally {
    await client.end().catch(() => {});
  }
}

/** Runs a transaction: commits when `use` returns, rolls back when it throws. */
export async function withTransaction<T>(client: Client, use: () => Promise<T>): Promise<T> {
  await client.query('begin');
  try {
    const result = await use();
    await client.query('commit');
    return result;
  } catch (error) {
    // The first error tells what happened; a rollback on a lost connection would only hide it.
    await client.query('rollback').catch(() => {});
    throw error;
  }
}
