import type pg from 'pg';
import type { ClientConfig } from 'pg';
import type { DatabaseVariables } from '../shared/database-variables.ts';
import { BuildFailed, ConnectionLost } from '../shared/errors.ts';
import { connectClient } from './connect.ts';
import { AWS_SOURCES, type CredentialSources, readCredentials } from './credentials.ts';
import { clipBytes, quoteIdentifier } from './identifiers.ts';
import { configureSearchPath } from './search-path.ts';
import { explainCertificateError } from './server-certificate.ts';
import { pinSettings } from './session-settings.ts';
import {
  describeDatabaseError,
  INVALID_PASSWORD,
  isConnectionError,
  sqlstateOf,
  toDeployStepError,
} from './sqlstate.ts';

export type Client = pg.Client;

/** Opens connections to one database. The session's application_name shows the `purpose`, and its settings are pinned. */
export interface Database {
  connect(purpose: string): Promise<Client>;
  /** Names of the roles that the configuration trusts, for `isTrustedRole`. */
  readonly trustedRoles: readonly string[];
  /** `database.searchPath` of the environment. Undefined: the role's own applies. */
  readonly searchPath?: readonly string[] | undefined;
}

const trustedRolesOfClients = new WeakMap<Client, readonly string[]>();

/** `Database.trustedRoles` of the database that opened a connection. */
export function trustedRolesOf(client: Client): readonly string[] {
  return trustedRolesOfClients.get(client) ?? [];
}

/** Longest wait for a connection, in milliseconds: a host that does not answer must not use up the invocation. */
const CONNECTION_TIMEOUT_MS = 15_000;

/** NAT gateways and load balancers drop idle TCP connections after 350 s and notify neither side. */
const KEEP_ALIVE_DELAY_MS = 10_000;

/**
 * The database of a function. The credentials are read for the first connection, and again when the server refuses the
 * password: the secret may have been rotated since.
 */
export function databaseOf(variables: DatabaseVariables, sources: Partial<CredentialSources> = {}): Database {
  let credentials: Promise<ClientConfig> | undefined;
  const current = () => {
    credentials ??= readCredentials(variables, { ...AWS_SOURCES, ...sources });
    // Do not keep a failed read: the next connection reads the secret again.
    credentials.catch(() => {
      credentials = undefined;
    });
    return credentials;
  };
  const trustedRoles = variables.TRUSTED_ROLES ?? [];
  const explained = async (error: unknown) => {
    const host = (await credentials?.catch(() => undefined))?.host;
    return asConnectError(host === undefined ? error : explainLogin(error, { ...variables, host }));
  };
  return {
    trustedRoles,
    searchPath: variables.SEARCH_PATH,
    async connect(purpose) {
      const open = async () => {
        const client = await openSession(await current(), purpose, variables.SHOW_ROW_VALUES === 'true');
        trustedRolesOfClients.set(client, trustedRoles);
        if (variables.SEARCH_PATH !== undefined) configureSearchPath(client, variables.SEARCH_PATH);
        return client;
      };
      try {
        return await open();
      } catch (error) {
        if (sqlstateOf(error) !== INVALID_PASSWORD || variables.DATABASE_SECRET_ARN === undefined)
          throw await explained(error);
        credentials = undefined;
        return await open().catch(async (again) => {
          throw await explained(again);
        });
      }
    },
  };
}

/** The application_name of a session of this product. */
export function applicationName(purpose: string): string {
  return clipBytes(`pg-deploy-step ${purpose}`);
}

async function openSession(config: ClientConfig, purpose: string, showRowValues: boolean): Promise<Client> {
  const client = await connectClient(config, {
    showRowValues,
    application_name: applicationName(purpose),
    connectionTimeoutMillis: CONNECTION_TIMEOUT_MS,
    keepAlive: true,
    keepAliveInitialDelayMillis: KEEP_ALIVE_DELAY_MS,
  });
  try {
    await pinSettings(client, backendOf(client));
  } catch (error) {
    client.end().catch(() => {});
    throw error;
  }
  return client;
}

/** The process ID that the server sent when the connection was opened. node-postgres keeps it. Null: it sent none. */
export function backendOf(client: Client): number | null {
  return 'processID' in client && typeof client.processID === 'number' ? client.processID : null;
}

/** With a secret or IAM: what to change in the configuration if the server cannot be verified or refuses the login. */
function explainLogin(error: unknown, variables: DatabaseVariables & { host: string }): unknown {
  const { DATABASE_IAM_USER: user, host } = variables;
  const isRefused = sqlstateOf(error)?.startsWith('28') === true;
  if (user === undefined || !isRefused) return explainCertificateError(error, variables);
  return new BuildFailed(
    `The database ${host} refused the login of "${user}" with IAM: ${describeDatabaseError(error)}. Check that IAM database ` +
      `authentication is enabled for the database, that the role has it (GRANT rds_iam TO ${quoteIdentifier(user)};), and that ` +
      'database.resourceId is the resource id of this database.',
    { sqlstate: sqlstateOf(error), cause: error },
  );
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

/** Opens a connection, passes it to `use`, and always closes it. */
export async function withClient<T>(
  database: Database,
  purpose: string,
  use: (client: Client) => Promise<T>,
): Promise<T> {
  const client = await database.connect(purpose);
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
    // Report the first error: on a lost connection the rollback fails too.
    await client.query('rollback').catch(() => {});
    throw error;
  }
}
