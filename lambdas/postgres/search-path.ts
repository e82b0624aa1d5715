import pg, { type Client } from 'pg';
import type { CompiledIndex } from '../shared/registry.ts';
import { parseIdentifierList, quoteIdentifier } from './identifiers.ts';

/*
 * The search path decides which function, operator or type an unqualified name means. A role that may create objects in a schema
 * of the path can create one that matches a call better than pg_catalog's own, and it runs with the rights of the session.
 *
 * The product's own statements therefore run with OWN_SEARCH_PATH: see session-settings.ts. Definitions of the registry and
 * migrations are written for the search path of the environment (`database.searchPath`), or that of the role or the database.
 * Only their statements run with it.
 */

/** Temporary objects come last: a path without pg_temp would search them first, also for the types of the catalog. */
export const OWN_SEARCH_PATH = 'pg_catalog, pg_temp';

const TEMPORARY = 'pg_temp';
const USER = '$user';

/** A search path, for people. */
export interface SearchPath {
  /** As configured: schemas, or "$user". */
  schemas: string[];
  /** Whose path it is: `database.searchPath` of the environment, or the setting of the role or the database. */
  source: 'environment' | 'role';
}

/** The paths of the environments, and those that were read, as names. */
const configuredPaths = new WeakMap<Client, readonly string[]>();

/** The paths as they were configured, without what is added to them. */
const describedPaths = new WeakMap<Client, SearchPath>();

/** The same paths without "$user". */
const resolvedPaths = new WeakMap<Client, readonly string[]>();

/** Sets the search path with which `configuredSearchPath` answers for a session. @param names schemas, or "$user" */
export function configureSearchPath(client: Client, names: readonly string[]): void {
  configuredPaths.set(client, withTemporaryLast(names));
  describedPaths.set(client, { schemas: [...names], source: 'environment' });
  resolvedPaths.delete(client);
}

/**
 * The search path for definitions and migrations: that of the environment, otherwise the one that the session of the role
 * began with. `"$user"` is kept, and pg_temp is last. It is read from the server once for each session.
 */
export async function configuredSearchPath(client: Client): Promise<readonly string[]> {
  const known = configuredPaths.get(client);
  if (known !== undefined) return known;
  const { rows } = await client.query<{ path: string }>(
    `select reset_val as path from pg_catalog.pg_settings where name operator(pg_catalog.=) 'search_path'`,
  );
  const schemas = parseIdentifierList(rows[0]?.path ?? '') ?? [];
  const names = withTemporaryLast(schemas);
  configuredPaths.set(client, names);
  describedPaths.set(client, { schemas, source: 'role' });
  return names;
}

/** The same path for people, and whose it is. */
export async function describeSearchPath(client: Client): Promise<SearchPath> {
  const names = await configuredSearchPath(client);
  return describedPaths.get(client) ?? { schemas: [...names], source: 'role' };
}

/** The same path for another role: it has the name of the deploy role instead of `"$user"`. Use it before SET ROLE. */
export async function resolvedSearchPath(client: Client): Promise<readonly string[]> {
  const known = resolvedPaths.get(client);
  if (known !== undefined) return known;
  const names = await configuredSearchPath(client);
  const { rows } = await client.query<{ role: string }>('select current_user as role');
  const resolved = names.map((name) => (name === USER ? (rows[0]?.role ?? USER) : name));
  resolvedPaths.set(client, resolved);
  return resolved;
}

/**
 * The schemas that come first in the search path for the definition of an index: that of the tenant, in which an application
 * with a schema per tenant looks names up first.
 */
export function schemasBeforePath({ schema, schemas }: Pick<CompiledIndex, 'schema' | 'schemas'>): string[] {
  return schemas === undefined ? [] : [schema];
}

/**
 * Runs statements outside of a transaction with the configured search path, such as a concurrent build. No statement of the
 * product may run in `use`.
 * @param first schemas before those of the path. @default none
 */
export async function withConfiguredSearchPath<T>(
  client: Client,
  use: () => Promise<T>,
  first: readonly string[] = [],
): Promise<T> {
  await useConfiguredSearchPath(client, first);
  try {
    return await use();
  } finally {
    // It can only fail if the connection is lost.
    await useOwnSearchPath(client).catch(() => {});
  }
}

/** Uses the configured search path in this session until `restoreSession`, or until the transaction is rolled back. */
export async function useConfiguredSearchPath(client: Client, first: readonly string[] = []): Promise<void> {
  await client.query(setting(textOf([...first, ...(await configuredSearchPath(client))]), false));
}

/** Uses the search path of the product again. */
export async function useOwnSearchPath(client: Client): Promise<void> {
  await client.query(setting(OWN_SEARCH_PATH, false));
}

/**
 * Runs one statement of a transaction with the configured search path, in one round trip. After an error the transaction, or
 * its savepoint, must be rolled back, which restores the path.
 */
export async function queryInConfiguredSearchPath(
  client: Client,
  statement: string,
  first: readonly string[] = [],
): Promise<void> {
  await client.query(inSearchPath([...first, ...(await configuredSearchPath(client))], statement));
}

/** The text that runs one statement of a transaction with a search path, and then uses the one of the product again. */
export function inSearchPath(names: readonly string[], statement: string): string {
  return `${setting(textOf(names), true)};\n${statement};\n${setting(OWN_SEARCH_PATH, true)}`;
}

function setting(path: string, isLocal: boolean): string {
  return `select pg_catalog.set_config('search_path', ${pg.escapeLiteral(path)}, ${isLocal})`;
}

function textOf(names: readonly string[]): string {
  return names.map(quoteIdentifier).join(', ');
}

function withTemporaryLast(names: readonly string[]): string[] {
  return [...names.filter((name) => name !== TEMPORARY), TEMPORARY];
}
