import type { Client } from 'pg';
import { OWN_SEARCH_PATH } from './search-path.ts';
import { isConnectionError } from './sqlstate.ts';

/*
 * Each setting that a role, a database or postgresql.conf can change, and that can end a statement or change its result. It is
 * either pinned in every session of this product, or left alone for a reason. A test reads pg_settings of the oldest and the
 * newest supported version and fails if a setting is in neither list.
 */

/** These end a statement or a session. 0 turns each of them off. Some exist only in newer versions. */
const TIMEOUTS = {
  statement_timeout: '0',
  // It would end a concurrent build at its last step. Short statements set their own, in their transaction.
  lock_timeout: '0',
  transaction_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  // A build continues after its client has disconnected.
  client_connection_check_interval: '0',
  // The session would end with the first error, for example with a lock timeout that is retried.
  exit_on_error: 'off',
  // It refuses to read views and foreign tables.
  restrict_nonsystem_relation_kind: '',
};

/**
 * These change how a statement is read, what it returns, or how a definition is shown. The values are PostgreSQL's defaults,
 * except that of search_path.
 */
const MEANINGS = {
  array_nulls: 'on',
  backslash_quote: 'safe_encoding',
  bytea_output: 'hex',
  check_function_bodies: 'on',
  client_encoding: 'UTF8',
  DateStyle: 'ISO, MDY',
  default_transaction_deferrable: 'off',
  default_transaction_isolation: 'read committed',
  extra_float_digits: '1',
  // It returns a random part of what a GIN index finds.
  gin_fuzzy_search_limit: '0',
  IntervalStyle: 'postgres',
  'plpgsql.check_asserts': 'on',
  'plpgsql.extra_errors': 'none',
  'plpgsql.print_strict_params': 'off',
  // pg_get_indexdef quotes every name with it.
  quote_all_identifiers: 'off',
  row_security: 'on',
  // Definitions and migrations run with another one: see search-path.ts.
  search_path: OWN_SEARCH_PATH,
  standard_conforming_strings: 'on',
  TimeZone: 'UTC',
  timezone_abbreviations: 'Default',
  transform_null_equals: 'off',
  xmlbinary: 'base64',
  xmloption: 'content',
};

/** The value that every session of this product has, by setting. Every role may set each of them. */
export const PINNED_SETTINGS: Readonly<Record<string, string>> = { ...TIMEOUTS, ...MEANINGS };

/** Why a setting, or all settings of a category of pg_settings, keep the value of the role and the database. */
export const SETTINGS_LEFT_ALONE: Readonly<Record<string, string>> = {
  default_transaction_read_only: 'Someone does not want writes: preflight refuses the deploy.',
  transaction_read_only: 'It follows from default_transaction_read_only.',
  transaction_isolation: 'It follows from default_transaction_isolation.',
  transaction_deferrable: 'It follows from default_transaction_deferrable.',
  synchronous_commit: 'It decides how durable a commit is, not what it contains.',

  default_table_access_method:
    'Where new tables are stored. Tables of this product name their access method.',
  default_tablespace: 'Where new tables and indexes are stored. It is not part of a definition.',
  default_toast_compression: 'How values are stored.',
  temp_tablespaces: 'Where temporary files are stored.',

  createrole_self_grant: 'Which memberships a role gets that a migration creates.',
  default_text_search_config: 'The language of the database. Definitions of indexes must name theirs.',
  icu_validation_level: 'How strict CREATE COLLATION is.',
  lc_messages: 'The language of messages. Errors are distinguished by SQLSTATE.',
  lc_monetary: 'The currency of the database. With another value, money literals have another amount.',
  lc_numeric: 'The language of to_char.',
  lc_time: 'The language of to_char.',

  client_min_messages: 'Notices. Nothing reads them.',
  escape_string_warning: 'A warning. Nothing reads it.',
  md5_password_warnings: 'A warning. Nothing reads it.',
  synchronize_seqscans: 'The order of rows without ORDER BY.',
  gin_pending_list_limit: 'Speed.',
  vacuum_failsafe_age: 'VACUUM only.',
  vacuum_freeze_min_age: 'VACUUM only.',
  vacuum_freeze_table_age: 'VACUUM only.',
  vacuum_multixact_failsafe_age: 'VACUUM only.',
  vacuum_multixact_freeze_min_age: 'VACUUM only.',
  vacuum_multixact_freeze_table_age: 'VACUUM only.',

  tcp_keepalives_count:
    'The network. A build continues without its connection, and a lost connection is retried.',
  tcp_keepalives_idle: 'The network, as above.',
  tcp_keepalives_interval: 'The network, as above.',
  tcp_user_timeout: 'The network, as above.',
  wal_sender_timeout: 'Replication connections only.',
  deadlock_timeout: 'Only a superuser can set it. Lock requests are as long as it needs.',
  event_triggers: 'Only a superuser can set it, and does so deliberately.',
  session_replication_role: 'Only a superuser can set it, and does so deliberately.',
  lo_compat_privileges: 'Only a superuser can set it. It is about privileges on large objects.',
  'plpgsql.variable_conflict': 'Only a superuser can set it, and does so deliberately.',
  'plpgsql.extra_warnings': 'Warnings. Nothing reads them.',
  dynamic_library_path: 'Where the server finds its libraries.',
  extension_control_path: 'Where the server finds its extensions.',

  'Client Connection Defaults / Shared Library Preloading': 'They are loaded before the first statement.',
  'Connections and Authentication / Authentication': 'How passwords of new roles are stored.',
  'Developer Options': 'They are not used in production.',
  'Query Tuning / Genetic Query Optimizer': 'Speed.',
  'Query Tuning / Other Planner Options': 'Speed.',
  'Query Tuning / Planner Cost Constants': 'Speed.',
  'Query Tuning / Planner Method Configuration': 'Speed.',
  'Reporting and Logging / Process Title': 'The log of the server.',
  'Reporting and Logging / What to Log': 'The log of the server.',
  'Reporting and Logging / When to Log': 'The log of the server.',
  'Resource Usage / Asynchronous Behavior': 'Speed.',
  'Resource Usage / Cost-Based Vacuum Delay': 'Speed.',
  'Resource Usage / Disk': 'A limit of the DBA. The error that it causes is reported.',
  'Resource Usage / I/O': 'Speed.',
  'Resource Usage / Memory': 'Speed.',
  'Resource Usage / Worker Processes': 'Speed.',
  'Statistics / Cumulative Query and Index Statistics': 'Statistics of the server.',
  'Statistics / Monitoring': 'The log of the server.',
  'Statistics / Query and Index Statistics Collector': 'Statistics of the server.',
  'Vacuuming / Cost-Based Vacuum Delay': 'Speed.',
  'Vacuuming / Default Behavior': 'VACUUM only.',
  'Vacuuming / Freezing': 'VACUUM only.',
  'Write-Ahead Log / Settings': 'Durability and speed.',
};

/**
 * Pins the settings of a new session, as far as the server has them. Through a connection pooler it changes nothing: the
 * session would be another client's next, and preflight refuses the deploy.
 *
 * Until it ends, names are looked up in the search path of the role, in which other roles may have created objects. So every
 * name here is qualified, also operators and types.
 * @param backend process ID that the server sent when the connection was opened
 * @returns whether the settings are pinned. False: the connection goes through a pooler
 */
export async function pinSettings(client: Client, backend: number | null): Promise<boolean> {
  // The settings of the role apply to this transaction too: a deferrable one could wait for other sessions.
  await client.query('begin isolation level read committed, not deferrable; set local statement_timeout = 0');
  const { rowCount } = await client.query(
    `select pg_catalog.set_config(pinned.name, pinned.value, false)
       from pg_catalog.jsonb_each_text($1::pg_catalog.jsonb) as pinned (name, value)
      where pg_catalog.current_setting(pinned.name, true) is not null
        and pg_catalog.pg_backend_pid() operator(pg_catalog.=) $2::pg_catalog.int4`,
    [JSON.stringify(PINNED_SETTINGS), backend],
  );
  await client.query('commit');
  return rowCount !== 0;
}

/**
 * How often the server checks whether the client of a migration is still connected. A migration whose function was killed
 * can only be rolled back, unlike a build. Without the check its statement would continue and block the services, which
 * start again.
 */
const CLIENT_CHECK = '2s';

/** Prepares a session for migrations: its statements may not wait long for a lock, and end with their client. */
export async function prepareMigrationSession(client: Client, lockTimeoutSeconds: number): Promise<void> {
  await client.query("select set_config('lock_timeout', $1, false)", [`${lockTimeoutSeconds * 1000}ms`]);
  await client
    .query("select set_config('client_connection_check_interval', $1, false)", [CLIENT_CHECK])
    .catch((error) => {
      // Some platforms do not support this setting. There the session ends with its statement.
      if (isConnectionError(error)) throw error;
    });
}

/** The settings that this session has set so far, as JSON: for `restoreSession`. */
export async function sessionSettings(client: Client): Promise<string> {
  const { rows } = await client.query<{ settings: string }>(
    `select pg_catalog.jsonb_object_agg(name, setting)::text as settings
       from pg_catalog.pg_settings where source operator(pg_catalog.=) 'session'`,
  );
  return rows[0]?.settings ?? '{}';
}

/**
 * Restores the role and all settings of a session, so that what one migration file sets (search_path, role, timeouts) does
 * not apply to the next one, nor to the statement that records the file. It can run inside a transaction.
 * @param settings of `sessionSettings`
 */
export async function restoreSession(client: Client, settings: string): Promise<void> {
  // RESET ROLE comes second, because the session's user decides which role is the initial one.
  await client.query('reset session authorization; reset role; reset all');
  await client.query(
    `select pg_catalog.set_config(restored.name, restored.value, false)
       from pg_catalog.jsonb_each_text($1::pg_catalog.jsonb) as restored (name, value)`,
    [settings],
  );
}
