import type { Client } from '../postgres/client.ts';
import { quoteIdentifier } from '../postgres/identifiers.ts';
import { Refused } from '../shared/errors.ts';

const SETTING = 'default_transaction_read_only';

/**
 * Refuses a database to which this role cannot write, because someone has made its transactions read-only.
 * @throws Refused that says where the setting comes from, and how to reset it
 */
export async function checkWritable(client: Client): Promise<void> {
  const { rows } = await client.query<ReadOnly>(
    `select current_setting('transaction_read_only')::bool as "readOnly",
            (select source from pg_settings where name = $1) as source,
            session_user as role,
            current_database() as database`,
    [SETTING],
  );
  const [row] = rows;
  if (row?.readOnly !== true) return;
  throw new Refused(
    `The database accepts no writes from the role ${row.role}: ${SETTING} is on, ${origin(row)}. Nothing can be migrated or ` +
      `built. If nobody needs it any more, turn it off: ${await fix(client, row)} Then start the deploy again.`,
  );
}

interface ReadOnly {
  readOnly: boolean;
  /** Of the setting, as in pg_settings. */
  source: string;
  role: string;
  database: string;
}

/** What follows "is on,". */
function origin({ source, role, database }: ReadOnly): string {
  switch (source) {
    case 'user':
      return `set for the role ${role}`;
    case 'database user':
      return `set for the role ${role} in the database ${database}`;
    case 'database':
      return `set for the database ${database}`;
    case 'global':
      return 'set for all roles';
    case 'client':
      return 'set in the options of the connection';
    case 'command line':
      return 'set in the command that started the server';
    case 'configuration file':
      return 'set in the configuration of the server';
    default:
      return `source: ${source}`;
  }
}

async function fix(client: Client, { source, role, database }: ReadOnly): Promise<string> {
  if (source === 'client') return 'remove it from the options of the database URL, or from PGOPTIONS.';
  if (source === 'command line') return 'start the server without it.';
  const statements = await resets(client, { role, database });
  if (statements.length > 0) {
    // A session that is read-only itself could not run them.
    return `SET ${SETTING} = off; ${statements.join(' ')}`;
  }
  return (
    `in RDS and Aurora in the parameter group of the instance or the cluster, elsewhere with ALTER SYSTEM RESET ${SETTING}; ` +
    'SELECT pg_reload_conf(); or in postgresql.conf.'
  );
}

/**
 * The statements that reset the setting of the role and the database, the one that applies first. Without it the next one
 * would apply, so all of them are reset down to one that turns the setting off.
 */
async function resets(
  client: Client,
  { role, database }: Pick<ReadOnly, 'role' | 'database'>,
): Promise<string[]> {
  const { rows } = await client.query<{ ofRole: boolean; ofDatabase: boolean; on: boolean }>(
    `select s.setrole <> 0 as "ofRole",
            s.setdatabase <> 0 as "ofDatabase",
            substr(entry, strpos(entry, '=') + 1)::bool as "on"
       from pg_db_role_setting s
      cross join unnest(s.setconfig) as entry
      where entry like $1
        and s.setrole in (0, (select oid from pg_roles where rolname = session_user))
        and s.setdatabase in (0, (select oid from pg_database where datname = current_database()))
      order by s.setrole <> 0 desc, s.setdatabase <> 0 desc`,
    [`${SETTING}=%`],
  );
  const off = rows.findIndex((row) => !row.on);
  return rows.slice(0, off === -1 ? rows.length : off).map(({ ofRole, ofDatabase }) => {
    const inDatabase = quoteIdentifier(database);
    if (ofRole && ofDatabase)
      return `ALTER ROLE ${quoteIdentifier(role)} IN DATABASE ${inDatabase} RESET ${SETTING};`;
    if (ofRole) return `ALTER ROLE ${quoteIdentifier(role)} RESET ${SETTING};`;
    return ofDatabase ? `ALTER DATABASE ${inDatabase} RESET ${SETTING};` : `ALTER ROLE ALL RESET ${SETTING};`;
  });
}
