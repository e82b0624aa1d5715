import type { Client } from '../../lambdas/postgres/client.ts';
import { backendOf } from '../../lambdas/postgres/client.ts';
import { connectClient } from '../../lambdas/postgres/connect.ts';
import { tableKey } from '../../lambdas/postgres/identifiers.ts';
import {
  estimateRebuiltBytes,
  type IndexSize,
  measureBloat,
  readIndexSizes,
} from '../../lambdas/postgres/index-bloat.ts';
import { readIndexHistory } from '../../lambdas/postgres/index-history.ts';
import { examine } from '../../lambdas/postgres/index-state.ts';
import { readIndexTexts, readLiveIndexes, readWorkers } from '../../lambdas/postgres/live-indexes.ts';
import {
  readLiveSessions,
  readLiveSlots,
  readPreparedTransactions,
} from '../../lambdas/postgres/live-sessions.ts';
import { readForeignKeys, readLiveTables } from '../../lambdas/postgres/live-tables.ts';
import { inReadOnlyTransaction, MARK, makeSessionReadOnly } from '../../lambdas/postgres/read-only.ts';
import { firstSchema as firstNamed, resolveRegistry } from '../../lambdas/postgres/resolve-registry.ts';
import { configuredSearchPath, configureSearchPath } from '../../lambdas/postgres/search-path.ts';
import { pinSettings } from '../../lambdas/postgres/session-settings.ts';
import { readSlowStatements, type StatementStatistics } from '../../lambdas/postgres/statement-statistics.ts';
import { readScans, readStatisticsAge } from '../../lambdas/postgres/statistics-age.ts';
import { type Extension, findExtension } from '../../lambdas/postgres/trusted-extension.ts';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { tableId } from '../../lambdas/shared/registry.ts';
import { counted, listed } from '../../lambdas/shared/text.ts';
import type { Kind, Unknown } from './finding.ts';
import type { LiveDatabase, Replica } from './live-database.ts';
import type { LoadedRegistry } from './load-accepted.ts';
import type { DoctorLimits } from './options.ts';
import type { RegistryState } from './registry-state.ts';

/** A connection, and how messages name it. */
export interface Target {
  readonly url: string;
  readonly name: string;
}

export interface ReadingOptions {
  readonly database: Target;
  readonly replicas: readonly Target[];
  /** Null: none was given. */
  readonly registry: LoadedRegistry | null;
  /** @default that of the role */
  readonly searchPath?: readonly string[] | undefined;
  readonly limits: DoctorLimits;
}

/** The database, or a replica, cannot be read. */
export class UnreadableDatabase extends Error {
  override readonly name = 'UnreadableDatabase';
}

/** Statements in the output. */
const MOST_STATEMENTS = 10;
/** A statement that ran once says nothing about its next run. */
const LEAST_CALLS = 2;
/** pgstatindex reads all of an index: only those that may be bloated are measured, at most so many. */
const MOST_MEASURED = 50;

/**
 * Reads everything that `doctor` needs, in read-only transactions. Only the comparison with the registry creates something: empty
 * temporary tables, in a transaction that is rolled back.
 * @throws UnreadableDatabase
 */
export async function readDatabase(options: ReadingOptions): Promise<LiveDatabase> {
  const replicas: Replica[] = [];
  for (const target of options.replicas)
    replicas.push(await onTarget(target, (client) => readReplica(client, target)));
  return await onTarget(options.database, (client) => readPrimary(client, options, replicas));
}

const POOLER =
  'the connection goes through a connection pooler, which mixes the settings of its sessions. Give the address of the database itself.';

async function onTarget<T>(target: Target, use: (client: Client) => Promise<T>): Promise<T> {
  let client: Client | undefined;
  try {
    client = await connectClient(
      { connectionString: target.url },
      { application_name: 'pg-deploy-step doctor', connectionTimeoutMillis: 15_000 },
    );
    if (!(await pinSettings(client, backendOf(client)))) throw new Error(POOLER);
    await makeSessionReadOnly(client);
    return await use(client);
  } catch (error) {
    throw new UnreadableDatabase(`${target.name} cannot be read: ${messageOf(error)}`, { cause: error });
  } finally {
    await client?.end().catch(() => undefined);
  }
}

async function readReplica(client: Client, { name }: Target): Promise<Replica> {
  return await inReadOnlyTransaction(client, async () => ({
    name,
    statistics: await readStatisticsAge(client),
    scans: await readScans(client),
  }));
}

async function readPrimary(
  client: Client,
  { registry, searchPath, limits }: ReadingOptions,
  replicas: readonly Replica[],
): Promise<LiveDatabase> {
  if (searchPath !== undefined) configureSearchPath(client, searchPath);
  const unknown: Unknown[] = [];
  const read = await inReadOnlyTransaction(client, async () => {
    const sizes = await readIndexSizes(client, limits.bloatBytes);
    return {
      ...(await readNames(client)),
      firstSchema: await readFirstSchema(client),
      statistics: await readStatisticsAge(client),
      indexes: await readLiveIndexes(client),
      workers: await readWorkers(client),
      tables: await readLiveTables(client),
      foreignKeys: await readForeignKeys(client),
      sessions: await readLiveSessions(client),
      slots: await readLiveSlots(client),
      prepared: await readPreparedTransactions(client),
      sizes,
      measured: await measureIndexes(client, sizes, limits, unknown),
      slowStatements: await readStatements(client, limits, unknown),
    };
  });
  const { texts, locked } = await readIndexTexts(client, read.indexes);
  if (locked.size > 0) unknown.push(lockedTables(locked));
  const hidden = read.sessions.filter(({ state }) => state === null);
  if (hidden.length > 0) unknown.push(hiddenSessions(hidden.length));
  const state = registry === null ? null : await readRegistryState(client, registry, read.tables);
  return {
    ...read,
    texts,
    replicas,
    history: await readIndexHistory(client),
    registry: state,
    unknown: [
      ...unknown,
      ...(state === null ? [NO_REGISTRY] : notCompared(state)),
      ...missingStatistics(read.sizes),
    ],
  };
}

const REGISTRY_KINDS: readonly Kind[] = ['not-in-registry', 'not-in-database'];

const NO_REGISTRY: Unknown = {
  kinds: REGISTRY_KINDS,
  reason: 'No registry was given.',
  fix: '--indexes FILE',
};

/** Reasons in the output. */
const MOST_REASONS = 3;

/** Entries of which only the names were compared. */
function notCompared({ examined }: RegistryState): Unknown[] {
  const reasons = new Set(
    examined.flatMap(({ notCompared: reason, locked, index }) =>
      locked
        ? `Another session has locked ${tableId(index)}, so only the names of its indexes are compared.`
        : (reason ?? []),
    ),
  );
  const shown = [...reasons]
    .slice(0, MOST_REASONS)
    .map((reason) => ({ kinds: REGISTRY_KINDS, reason, fix: null }));
  const rest = reasons.size - shown.length;
  if (rest === 0) return shown;
  return [
    ...shown,
    { kinds: REGISTRY_KINDS, reason: `The same applies to ${counted(rest, 'more table')}.`, fix: null },
  ];
}

async function readNames(client: Client): Promise<{ name: string; version: string }> {
  const { rows } = await client.query<{ name: string; version: string }>(
    `${MARK} select current_database() as name, current_setting('server_version') as version`,
  );
  return rows[0] ?? { name: '', version: '' };
}

/** See import-database.ts: a table in this schema is written without it. */
async function readFirstSchema(client: Client): Promise<string | null> {
  const path = await configuredSearchPath(client);
  const { rows } = await client.query<{ schema: string | null }>(
    `${MARK}
     select case when path.name <> '$user' then n.nspname end as schema
       from unnest($1::name[]) with ordinality as path (name, position)
       join pg_namespace n on n.nspname = case when path.name = '$user' then current_user else path.name end
      where n.nspname not like 'pg\\_%' and has_schema_privilege(n.oid, 'usage')
      order by path.position
      limit 1`,
    [path],
  );
  return rows[0] === undefined ? firstNamed(path) : rows[0].schema;
}

/** Measures the indexes that may be bloated, the largest first. */
async function measureIndexes(
  client: Client,
  sizes: readonly IndexSize[],
  { bloatPercent }: DoctorLimits,
  unknown: Unknown[],
): Promise<LiveDatabase['measured']> {
  const measured = new Map<number, { bytes: number; freeBytes: number }>();
  const extension = await usableExtension(client, 'pgstattuple', ['bloated'], unknown);
  // Without it there is an estimate.
  if (extension === null) return measured;
  const suspects = sizes
    .filter((size) => {
      const rebuilt = estimateRebuiltBytes(size);
      return rebuilt === null || rebuilt < size.pages * size.pageBytes * (1 - bloatPercent / 200);
    })
    .toSorted((one, other) => other.pages - one.pages)
    .slice(0, MOST_MEASURED);
  for (const size of suspects) {
    const found = await measureBloat(client, extension, size);
    if ('bytes' in found) measured.set(size.oid, found);
    else {
      unknown.push({
        kinds: ['bloated'],
        reason: `pgstatindex failed (SQLSTATE ${found.sqlstate}), so bloat is estimated.`,
        fix: found.sqlstate === '42501' ? 'GRANT pg_stat_scan_tables TO the role.' : null,
      });
      break;
    }
  }
  return measured;
}

async function readStatements(
  client: Client,
  { slowMs }: DoctorLimits,
  unknown: Unknown[],
): Promise<readonly StatementStatistics[]> {
  const kinds: Kind[] = ['slow-statement'];
  const extension = await usableExtension(client, 'pg_stat_statements', kinds, unknown);
  if (extension === null) return [];
  const limits = { leastMs: slowMs, leastCalls: LEAST_CALLS, most: MOST_STATEMENTS };
  const found = await readSlowStatements(client, extension, limits);
  if ('sqlstate' in found) {
    unknown.push({ kinds, ...whyNoStatements(found.sqlstate, extension) });
    return [];
  }
  if (found.hidden > 0) {
    const reason = 'This role may not see the statements of other roles in pg_stat_statements.';
    unknown.push({ kinds, reason, fix: 'GRANT pg_read_all_stats TO the role.' });
  }
  return found.statements;
}

/** SQLSTATEs of pg_stat_statements. */
const OBJECT_NOT_IN_PREREQUISITE_STATE = '55000';
const UNDEFINED_COLUMN = '42703';

function whyNoStatements(sqlstate: string, { version }: Extension): Omit<Unknown, 'kinds'> {
  if (sqlstate === OBJECT_NOT_IN_PREREQUISITE_STATE) {
    return {
      reason: 'pg_stat_statements is installed, and the server has not loaded its library.',
      fix: 'Add pg_stat_statements to shared_preload_libraries and restart the server.',
    };
  }
  if (sqlstate === UNDEFINED_COLUMN) {
    return {
      reason: `pg_stat_statements has the old version ${version}.`,
      fix: 'ALTER EXTENSION pg_stat_statements UPDATE;',
    };
  }
  return {
    reason: `pg_stat_statements cannot be read (SQLSTATE ${sqlstate}).`,
    fix: 'GRANT pg_read_all_stats TO the role.',
  };
}

/** What is missing without an extension, and null; otherwise the extension. */
async function usableExtension(
  client: Client,
  name: 'pgstattuple' | 'pg_stat_statements',
  kinds: readonly Kind[],
  unknown: Unknown[],
): Promise<Extension | null> {
  const found = await findExtension(client, name);
  if ('version' in found) return found;
  const without = name === 'pgstattuple' ? ' Bloat is estimated without it.' : '';
  if ('untrusted' in found) {
    unknown.push({
      kinds,
      reason: `The extension ${name}, or its schema ${found.schema}, belongs to a role that is not trusted, so it is not used.${without}`,
      fix: null,
    });
  } else {
    const preload = name === 'pg_stat_statements' ? ' Its library must be in shared_preload_libraries.' : '';
    unknown.push({
      kinds,
      reason: `The extension ${name} is not installed in this database${found.available ? '' : ', and the server does not have it'}.${without}`,
      fix: `CREATE EXTENSION ${name};${preload}`,
    });
  }
  return null;
}

function hiddenSessions(count: number): Unknown {
  return {
    kinds: ['active-session', 'long-transaction'],
    reason: `This role may not see what ${counted(count, 'session')} of other roles do.`,
    fix: 'GRANT pg_read_all_stats TO the role.',
  };
}

function lockedTables(locked: ReadonlySet<string>): Unknown {
  const names = [...locked].map((key) => (JSON.parse(key) as string[]).join('.'));
  return {
    kinds: ['duplicate', 'redundant', 'not-in-registry'],
    reason: `Another session has locked ${listed(names, 5)}, so the definitions of their indexes were not read.`,
    fix: 'Run doctor again.',
  };
}

function missingStatistics(sizes: readonly IndexSize[]): Unknown[] {
  const without = sizes.filter(({ width }) => width === null);
  const hidden = without.filter(({ analyzed }) => analyzed).length;
  const never = without.length - hidden;
  const kinds: Kind[] = ['bloated'];
  return [
    ...(never === 0
      ? []
      : [
          { kinds, reason: `The tables of ${counted(never, 'index')} were never analyzed.`, fix: 'ANALYZE;' },
        ]),
    ...(hidden === 0
      ? []
      : [
          {
            kinds,
            reason: `This role may not see the statistics of the tables of ${counted(hidden, 'index')}.`,
            fix: 'GRANT SELECT on the tables, or pg_read_all_data, to the role.',
          },
        ]),
  ];
}

async function readRegistryState(
  client: Client,
  { compiled, accepted }: LoadedRegistry,
  tables: LiveDatabase['tables'],
): Promise<RegistryState> {
  const resolved = await resolveRegistry(client, compiled);
  const existing = new Set(tables.map(tableKey));
  const withTable = resolved.filter((index) => existing.has(tableKey(index)));
  return {
    examined: await examine(client, withTable),
    withoutTable: resolved.filter((index) => !withTable.includes(index)).map(({ entryId }) => entryId),
    accepted,
  };
}
