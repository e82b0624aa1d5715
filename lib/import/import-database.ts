import { backendOf, type Client } from '../../lambdas/postgres/client.ts';
import { connectClient } from '../../lambdas/postgres/connect.ts';
import { firstSchema as firstNamed } from '../../lambdas/postgres/resolve-registry.ts';
import { configuredSearchPath, OWN_SEARCH_PATH } from '../../lambdas/postgres/search-path.ts';
import { pinSettings } from '../../lambdas/postgres/session-settings.ts';
import { messageOf } from '../../lambdas/shared/errors.ts';
import { refusedEntries } from '../registry/compile-registry.ts';
import type { IndexEntry } from '../registry/define-indexes.ts';
import { entryFromStatement } from '../registry/entry-from-statement.ts';
import { NoSourceError, type Skipped } from '../sources/sql-source.ts';
import { readSql } from '../sql/read-sql.ts';
import { withTablespace } from '../sql/schema/index-storage.ts';
import type { Imported } from './import-sources.ts';

/**
 * The database is in use: the timeouts keep the import from waiting for a table that another session locks. The search path
 * is set here too, because through a connection pooler the settings of the session are not pinned.
 */
const SETTINGS = `
  begin transaction read only;
  set local statement_timeout = '60s';
  set local lock_timeout = '5s';
  set local search_path = ${OWN_SEARCH_PATH}`;

/** Every role can read the catalog. Without the indexes of extensions, temporary tables and this product. */
const INDEXES = `
  select n.nspname as schema,
         c.relname as name,
         t.relname as "table",
         pg_get_indexdef(i.indexrelid) as sql,
         s.spcname as tablespace,
         obj_description(i.indexrelid, 'pg_class') as description,
         i.indisvalid as valid,
         c.relispartition as part,
         exists (select from pg_constraint con
                  where con.conindid = i.indexrelid and con.contype in ('p', 'u', 'x')) as "constraint"
    from pg_index i
    join pg_class c on c.oid = i.indexrelid
    join pg_class t on t.oid = i.indrelid
    join pg_namespace n on n.oid = t.relnamespace
    left join pg_tablespace s on s.oid = c.reltablespace
   where n.nspname not like 'pg\\_%'
     and n.nspname not in ('information_schema', 'deploy_step')
     and t.relpersistence <> 't'
     and not starts_with(c.relname, 'pg_deploy_step_')
     and not exists (select from pg_depend d
                      where d.classid = 'pg_class'::regclass and d.objid = t.oid and d.deptype = 'e')
   order by n.nspname, t.relname, c.relname`;

interface LiveIndex {
  readonly schema: string;
  readonly name: string;
  readonly table: string;
  readonly sql: string;
  readonly tablespace: string | null;
  readonly description: string | null;
  readonly valid: boolean;
  readonly part: boolean;
  readonly constraint: boolean;
}

/**
 * Imports the indexes of a live database. It reads the catalog in a read-only transaction.
 * @param searchPath tables in its first schema are written without it @default that of the role
 * @throws NoSourceError if the database cannot be read
 */
export async function importDatabase(databaseUrl: string, searchPath?: readonly string[]): Promise<Imported> {
  const { indexes, firstSchema } = await readIndexes(databaseUrl, searchPath);
  const notTaken: Skipped[] = [];
  const entries: IndexEntry[] = [];
  const own = indexes.filter((index) => !index.constraint && !index.part);
  for (const index of own) {
    if (index.valid) entries.push(entryOf(index, firstSchema));
    else notTaken.push(skipped(index, INVALID));
  }
  const refused = await refusedEntries(entries);
  for (const [position, reason] of refused) {
    const index = own.filter(({ valid }) => valid)[position];
    if (index !== undefined) notTaken.push(skipped(index, reason));
  }
  return {
    entries: entries.filter((_, position) => !refused.has(position)),
    notTaken,
    constraints: indexes.filter((index) => index.constraint && !index.part).length,
    dropped: 0,
    parts: indexes.filter((index) => index.part).length,
  };
}

const INVALID =
  'it is invalid because its build failed; rebuild it with REINDEX INDEX CONCURRENTLY, or drop it';

function skipped({ schema, name, table }: LiveIndex, reason: string): Skipped {
  return { file: 'the database', line: null, what: `index ${schema}.${name} on ${table}`, reason };
}

function entryOf(
  { schema, name, table, sql, tablespace, description }: LiveIndex,
  firstSchema: string | null,
): IndexEntry {
  const whole = tablespace === null ? sql : withTablespace(sql, tablespace);
  const statement = readSql(whole).statements[0]?.node?.IndexStmt;
  if (statement === undefined)
    throw new Error(`pg_get_indexdef of ${name} is not a CREATE INDEX statement: ${sql}`);
  return entryFromStatement(
    { sql: whole, statement },
    {
      name,
      description: description?.trim() || 'Imported from the live database. Describe what uses this index.',
      table: { schema, name: table },
      firstSchema,
    },
  );
}

/**
 * The first schema of a path that exists and that the role may use: there CREATE TABLE creates a table without a schema. Null: it is
 * the role's own schema ("$user"), and the role that deploys can have another one.
 */
const FIRST_SCHEMA = `
  select case when path.name <> '$user' then n.nspname end as schema
    from unnest($1::name[]) with ordinality as path (name, position)
    join pg_namespace n on n.nspname = case when path.name = '$user' then current_user else path.name end
   where n.nspname not like 'pg\\_%' and has_schema_privilege(n.oid, 'usage')
   order by path.position
   limit 1`;

async function readIndexes(
  databaseUrl: string,
  searchPath: readonly string[] | undefined,
): Promise<{ indexes: LiveIndex[]; firstSchema: string | null }> {
  let client: Client | undefined;
  try {
    client = await connectClient(
      { connectionString: databaseUrl },
      { application_name: 'pg-deploy-step import', connectionTimeoutMillis: 15_000 },
    );
    // Settings of the role change how pg_get_indexdef shows a definition.
    await pinSettings(client, backendOf(client));
    await client.query(SETTINGS);
    const path = searchPath ?? (await configuredSearchPath(client));
    const { rows } = await client.query<{ schema: string | null }>(FIRST_SCHEMA, [path]);
    const firstSchema = rows[0] === undefined ? firstNamed(path) : rows[0].schema;
    return { indexes: (await client.query<LiveIndex>(INDEXES)).rows, firstSchema };
  } catch (error) {
    throw new NoSourceError(`The indexes of the database cannot be read: ${messageOf(error)}`, {
      cause: error,
    });
  } finally {
    await client?.end().catch(() => undefined);
  }
}
