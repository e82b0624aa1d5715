import { replaceInvisible } from '../shared/visible-text.ts';
import type { Client } from './client.ts';
import type { Table } from './identifiers.ts';
import { conflicts, type LockMode } from './lock-modes.ts';

/**
 * A transaction that PREPARE TRANSACTION has detached from its session (two-phase commit). It keeps its locks until a session
 * runs COMMIT PREPARED or ROLLBACK PREPARED, also after a restart of the server. It has no process, so
 * pg_blocking_pids shows it as 0 and pg_stat_activity does not contain it.
 */
export interface PreparedTransaction {
  kind: 'prepared transaction';
  /** Its global identifier: up to 199 bytes of any characters. */
  gid: string;
  /** The role that prepared it. Only this role and superusers may end it. Null: the role was dropped. */
  owner: string | null;
  /** It can be ended only in this database. */
  database: string;
  /** Time since it was prepared, in seconds. */
  ageSeconds: number;
}

/** A lock on a table, or on another relation, that a session could not acquire. */
export interface WantedLock {
  table: Table;
  mode: LockMode;
}

/**
 * Finds the prepared transactions that hold a lock for which one of the sessions waits. A prepared transaction has the
 * virtual transaction ID of its former session until the server restarts, and -1/XID afterwards. Therefore the lock on its own
 * transaction ID connects it with its other locks.
 * @param pids the waiting sessions
 * @param wanted a lock for which no session waits at the moment
 */
export async function preparedBlockers(
  client: Client,
  pids: readonly number[],
  wanted?: WantedLock,
): Promise<PreparedTransaction[]> {
  const { rows } = await client.query<PreparedTransaction & { wanted: string; held: string }>(
    `with locks as materialized (
       select * from pg_locks
     ), wanted as (
       select locktype, database, relation, page, tuple, virtualxid, transactionid, classid, objid, objsubid, mode
         from locks
        where pid = any ($1::int[]) and not granted
        union all
       select 'relation', d.oid, t.oid, null, null, null, null, null, null, null, $4
         from pg_class t
         join pg_namespace n on n.oid = t.relnamespace
         join pg_database d on d.datname = current_database()
        where n.nspname = $2 and t.relname = $3
     )
     select distinct 'prepared transaction' as kind, p.gid, p.owner, p.database, p.prepared,
            extract(epoch from clock_timestamp() - p.prepared)::int as "ageSeconds", w.mode as wanted, held.mode as held
       from wanted w
       join locks held
         on held.pid is null and held.granted
        and (held.locktype, held.database, held.relation, held.page, held.tuple, held.virtualxid, held.transactionid,
             held.classid, held.objid, held.objsubid)
            is not distinct from
            (w.locktype, w.database, w.relation, w.page, w.tuple, w.virtualxid, w.transactionid,
             w.classid, w.objid, w.objsubid)
       join locks own
         on own.pid is null and own.locktype = 'transactionid' and own.virtualtransaction = held.virtualtransaction
       join pg_prepared_xacts p on p.transaction = own.transactionid
      order by p.prepared`,
    [pids, wanted?.table.schema ?? null, wanted?.table.table ?? null, wanted?.mode ?? null],
  );
  const blocking = rows.filter((row) => conflicts(row.wanted, row.held));
  return [...new Map(blocking.map((row) => [row.gid, row])).values()];
}

/** A prepared transaction for a message, with the statements that end it. */
export function describePreparedTransaction({
  gid,
  owner,
  database,
  ageSeconds,
}: PreparedTransaction): string {
  const id = literalOf(gid);
  return (
    `prepared transaction ${id} (owner ${owner ?? 'unknown'}, database ${database}, prepared ${ageSeconds} s ago; ` +
    `as its owner or a superuser, run COMMIT PREPARED ${id} or ROLLBACK PREPARED ${id} in that database)`
  );
}

/** A text as a string constant of one line, which a person can copy into psql. */
export function literalOf(text: string): string {
  const quoted = text.replaceAll("'", "''");
  const escaped = replaceInvisible(quoted.replaceAll('\\', '\\\\'), escapeOf);
  return escaped === quoted ? `'${quoted}'` : `E'${escaped}'`;
}

function escapeOf(character: string): string {
  const code = (character.codePointAt(0) ?? 0).toString(16).toUpperCase();
  return code.length > 4 ? `\\U${code.padStart(8, '0')}` : `\\u${code.padStart(4, '0')}`;
}
