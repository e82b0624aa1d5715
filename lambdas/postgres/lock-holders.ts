import type { Log } from '../shared/logger.ts';
import { listed } from '../shared/text.ts';
import { quoted, visible } from '../shared/visible-text.ts';
import { type Client, trustedRolesOf } from './client.ts';
import { quoteIdentifier } from './identifiers.ts';
import { describePreparedTransaction, type PreparedTransaction } from './prepared-transactions.ts';
import { isTrustedRole } from './trusted-roles.ts';

/*
 * Who holds an advisory lock. Every role that may connect can hold each of them, for the keys are no secret. Therefore a holder
 * counts only if its role is trusted. The role of a session is a fact, unlike its application_name.
 */

export interface SessionHolder {
  kind: 'session';
  pid: number;
  /** The role that logged in. */
  role: string;
  /** Its application_name. */
  application: string;
}

/**
 * What holds a lock. A prepared transaction can hold it too: one that has acquired it with pg_advisory_xact_lock. This product
 * prepares no transactions, so that is never a deploy.
 */
export type Holder = SessionHolder | PreparedTransaction;

/** The holders of the locks with some keys. */
export interface LockHolders {
  /** Sessions of trusted roles. */
  trusted: (SessionHolder & { key: string })[];
  /** All others, which must not keep a deploy from anything. */
  untrusted: (Holder & { key: string })[];
}

interface Row {
  key: string;
  pid: number | null;
  role: string | null;
  application: string | null;
  trusted: boolean;
  gid: string | null;
  database: string;
  ageSeconds: number | null;
}

/**
 * Reads which other sessions and prepared transactions hold locks, or claims of them: see advisory-lock.ts. Claims of roles that
 * are not trusted are omitted, because they keep nobody from anything.
 * @param keys bigints, as text
 */
export async function readLockHolders(client: Client, keys: readonly string[]): Promise<LockHolders> {
  // pg_locks shows a bigint key as its two halves, with objsubid 1, and a claim with objsubid 2.
  const { rows } = await client.query<Row>(
    `with locks as materialized (
       select * from pg_locks
     ), held as (
       select wanted.key::text as key, l.pid, l.virtualtransaction, l.objsubid = 2 as claim
         from locks l
         join unnest($1::bigint[]) as wanted (key)
           on l.classid::bigint = ((wanted.key >> 32) & 4294967295)
          and (l.objsubid = 2 or l.objsubid = 1 and l.objid::bigint = (wanted.key & 4294967295))
        where l.locktype = 'advisory' and l.granted and l.pid is distinct from pg_backend_pid()
          and l.database = (select oid from pg_database where datname = current_database())
     ), sessions as (
       select held.*, a.usename, a.application_name, ${isTrustedRole('a.usesysid', '$2')} as trusted
         from held
         join pg_stat_activity a on a.pid = held.pid
     )
     select key, pid, usename as role, application_name as application, trusted, null as gid,
            current_database() as database, null::int as "ageSeconds"
       from sessions
      where trusted or not claim
      union
     select held.key, null, p.owner, null, false, p.gid, p.database,
            extract(epoch from clock_timestamp() - p.prepared)::int
       from held
       join locks own on own.pid is null and own.locktype = 'transactionid'
                     and own.virtualtransaction = held.virtualtransaction
       join pg_prepared_xacts p on p.transaction = own.transactionid
      where held.pid is null and not held.claim
      order by 2, 1`,
    [keys, trustedRolesOf(client)],
  );
  const holders: LockHolders = { trusted: [], untrusted: [] };
  for (const { key, pid, role, application, trusted, gid, database, ageSeconds } of rows) {
    if (pid === null) {
      const transaction = { gid: gid ?? '', owner: role, database, ageSeconds: ageSeconds ?? 0 };
      holders.untrusted.push({ key, kind: 'prepared transaction', ...transaction });
    } else {
      const session = { kind: 'session' as const, pid, role: role ?? '', application: application ?? '' };
      holders[trusted ? 'trusted' : 'untrusted'].push({ key, ...session });
    }
  }
  return holders;
}

/** A holder for a message: `pid 812 (role "app", application "shop")`. */
export function describeHolder(holder: Holder): string {
  if (holder.kind === 'prepared transaction') return describePreparedTransaction(holder);
  return `pid ${holder.pid} (role ${quoted(holder.role)}, application ${quoted(holder.application)})`;
}

/** Logs what holds a lock of an index and is ignored, because it is not trusted. */
export function warnOfHolders(
  holders: readonly Holder[],
  { index, log }: { readonly index: string; readonly log: Log },
): void {
  if (holders.length === 0) return;
  log.warn(
    'An advisory lock of this index is held by what is not trusted, so it is ignored. The preflight says how to end it.',
    { index, by: listed(holders.map(describeHolder)) },
  );
}

/** What to type to end a session that holds a lock, and to keep its role from connecting again. */
export function howToEnd({ pid, role }: SessionHolder, database: string): string {
  return (
    `select pg_terminate_backend(${pid}); as a superuser, or as a member of the role or of pg_signal_backend (the deploy role ` +
    `itself may end only sessions of roles of which it is a member). To keep the role out: REVOKE CONNECT ON DATABASE ` +
    `${visible(quoteIdentifier(database))} FROM PUBLIC, ${visible(quoteIdentifier(role))};`
  );
}
