import { LockNotAvailable, Refused } from '../shared/errors.ts';
import { tableId } from '../shared/registry.ts';
import { listed, listedStatements } from '../shared/text.ts';
import { quoted, visible } from '../shared/visible-text.ts';
import { blockersOfTable, describeBlockers, lockTimeoutMessage } from './blockers.ts';
import type { Client } from './client.ts';
import { quotedTable, quoteIdentifier, type Table } from './identifiers.ts';
import type { LockMode } from './lock-modes.ts';
import { LOCK_NOT_AVAILABLE, sqlstateOf, WRONG_OBJECT_TYPE } from './sqlstate.ts';
import { describeFinding, readTableStates, type TableState } from './table-findings.ts';
import { withLockTimeout } from './table-lock.ts';

/*
 * The tables that this product itself reads and writes. Another role could create a relation with one of their names before
 * the deploy does, or add a trigger to one. A view, a trigger, a rule, a policy, a default runs code with the rights of the
 * role that uses the table. So a table is used only if no other role controls it.
 *
 * Checking first is not enough: the owner of the schema could replace the table after the check. So each table is locked, and
 * then checked, in the transaction that uses it.
 */

/** With each of them nobody else can create a trigger. With `share row exclusive` nobody else can write. */
export type WriteMode = 'row exclusive' | 'share row exclusive';

/** Reading needs `access share`. */
type Mode = 'access share' | WriteMode;

const LOCK_MODES: Readonly<Record<Mode, LockMode>> = {
  'access share': 'AccessShareLock',
  'row exclusive': 'RowExclusiveLock',
  'share row exclusive': 'ShareRowExclusiveLock',
};

/** Long for a statement that reads or writes a few rows, and short for a function that another session locked out. */
const LOCK_TIMEOUT_SECONDS = 10;

/**
 * Runs statements on a table of this product, in one transaction.
 * @throws Refused when a role that is not trusted controls the table
 * @throws LockNotAvailable that names the blockers, after 10 s
 * @throws undefined_table, invalid_schema_name when the table does not exist
 */
export async function withTrustedTable<T>(
  client: Client,
  table: Table,
  mode: Mode,
  use: () => Promise<T>,
): Promise<T> {
  try {
    return await withLockTimeout(client, LOCK_TIMEOUT_SECONDS, async () => {
      await lockTrustedTable(client, table, mode);
      return await use();
    });
  } catch (error) {
    if (sqlstateOf(error) !== LOCK_NOT_AVAILABLE) throw error;
    const blockedBy = describeBlockers(await blockersOfTable(client, table, LOCK_MODES[mode]));
    const name = `${table.schema}.${table.table}`;
    throw new LockNotAvailable(lockTimeoutMessage(name, LOCK_TIMEOUT_SECONDS, blockedBy), {
      sqlstate: LOCK_NOT_AVAILABLE,
      cause: error,
    });
  }
}

/**
 * Locks a table until the end of the transaction, and checks it. Until then its name means this table.
 * @throws Refused when a role that is not trusted controls the table
 * @throws undefined_table, invalid_schema_name when the table does not exist
 */
export async function lockTrustedTable(client: Client, table: Table, mode: Mode): Promise<void> {
  const lock = async () => {
    try {
      await client.query(`lock table only ${quotedTable(table)} in ${mode} mode`);
    } catch (error) {
      if (sqlstateOf(error) !== WRONG_OBJECT_TYPE) throw error;
      throw new Refused(`${tableId(table)} is not a table. The preflight says what it is.`, { cause: error });
    }
  };
  await lock();
  const [state] = await readTrustedStates(client, [table]);
  if (state === undefined || state.schemaIsTrusted) return;
  // The schema could have been replaced before it was held, so the table is locked and checked again.
  await holdSchema(client, state);
  await lock();
  await readTrustedStates(client, [table]);
}

/**
 * Keeps the schema of a table that does not exist yet from being replaced until the end of the transaction.
 * @throws Refused when its owner is not trusted and the deploy role cannot prevent that
 */
export async function holdSchemaOf(client: Client, table: Table): Promise<void> {
  const [state] = await readTrustedStates(client, [table]);
  if (state !== undefined && !state.schemaIsTrusted) await holdSchema(client, state);
}

/**
 * Keeps the owner of a schema from renaming it until the end of the transaction: another schema would get its name, with
 * another table. Renaming changes the row of the schema, and the row is all that can be locked.
 */
async function holdSchema(client: Client, state: TableState): Promise<void> {
  await client.query('select from pg_catalog.pg_namespace where oid = $1 for share', [state.schemaOid]);
  const [held] = await readTrustedStates(client, [state]);
  if (held?.schemaOid === state.schemaOid) return;
  throw new Refused(
    `${quoted(state.schemaOwner)} has just replaced the schema ${state.schema}. Find out why, then start the deploy again.`,
  );
}

/**
 * Refuses tables that a role which is not trusted controls. A table that does not exist is ignored. This locks nothing.
 * @throws Refused with what was found, and the statements that remove it
 */
export async function refuseUntrustedTables(client: Client, tables: readonly Table[]): Promise<void> {
  await readTrustedStates(client, tables);
}

/** Statements that a message shows. */
const MOST = 20;

async function readTrustedStates(client: Client, tables: readonly Table[]): Promise<TableState[]> {
  const states = await readTableStates(client, tables);
  const found = states.filter((state) => state.findings.length > 0);
  const replaceable = states.filter((state) => !state.schemaIsTrusted && !state.canLockSchema);
  if (found.length === 0 && replaceable.length === 0) return states;
  const { rows } = await client.query<{ role: string }>('select current_user as role');
  const deployRole = rows[0]?.role ?? '';
  const texts: string[] = [];
  const fixes: string[] = [];
  for (const state of found) {
    const described = state.findings.map((finding) => describeFinding(state, finding, deployRole));
    texts.push(
      `${state.schema}.${state.table}: ${listed(
        described.map(({ text }) => text),
        MOST,
      )}.`,
    );
    fixes.push(...described.map(({ fix }) => fix));
  }
  for (const { schema, table, schemaOwner } of replaceable) {
    texts.push(
      `${schema}.${table}: the schema ${schema} belongs to ${quoted(schemaOwner)}, which can replace it at any time.`,
    );
    fixes.push(`ALTER SCHEMA ${quoteIdentifier(schema)} OWNER TO ${quoteIdentifier(deployRole)};`);
  }
  throw new Refused(
    visible(
      `Roles that are not trusted could run their own code with the rights of the deploy role ${quoted(deployRole)} through the tables ` +
        `that the deploy uses. ${texts.join(' ')} Find out who created this, and what its code does. If you trust a role like the deploy ` +
        'role, name it in database.trustedRoles (run --trusted-role NAME). Otherwise connect as a superuser and run: ' +
        listedStatements([...new Set(fixes)], MOST),
    ),
  );
}
