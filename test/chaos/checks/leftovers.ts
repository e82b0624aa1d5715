import { setTimeout as pause } from 'node:timers/promises';
import type { Query } from '../target.ts';
import { type Violation, violationIf } from './violation.ts';

/** Sessions end shortly after their clients. A session that stays longer was left by the product. */
const SESSIONS_MS = 60_000;

/**
 * Nothing that a run or an interrupted build left is in the database.
 * @param patienceMs longest wait for sessions that are about to end
 */
export async function checkLeftovers(query: Query, patienceMs = SESSIONS_MS): Promise<Violation[]> {
  return [
    ...violationIf(
      'No session of the product or of its services is left.',
      await remainingSessions(query, patienceMs),
    ),
    ...violationIf(
      'No index is invalid.',
      await query(
        `select indexrelid::regclass::text as index, indrelid::regclass::text as "table" from pg_index where not indisvalid`,
      ),
    ),
    ...violationIf(
      'No relation has a temporary name.',
      await query(
        `select oid::regclass::text as relation from pg_class
          where starts_with(relname, 'pg_deploy_step_') or (relkind in ('i', 'I') and relname ~ '_cc(new|old)[0-9]*$')`,
      ),
    ),
    ...violationIf(
      'No advisory lock is left.',
      await query(
        `select l.pid, l.classid::bigint, l.objid::bigint, l.mode from pg_locks l
          where l.locktype = 'advisory' and l.database = (select oid from pg_database where datname = current_database())`,
      ),
    ),
    ...violationIf(
      'No transaction stays prepared.',
      await query('select gid, owner from pg_prepared_xacts where database = current_database()'),
    ),
    ...violationIf(
      'No attempt in the ledger is recorded as building although its session has ended.',
      await readOrphans(query),
    ),
  ];
}

async function remainingSessions(query: Query, patienceMs: number): Promise<unknown[]> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    const rows = await query(
      `select pid, application_name, state, left(query, 120) as query from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_type = 'client backend'
          and application_name not like 'chaos %'`,
    );
    if (rows.length === 0 || Date.now() > deadline) return rows;
    await pause(100);
  }
}

async function readOrphans(query: Query): Promise<unknown[]> {
  const [ledger] = await query(
    `select from pg_tables where schemaname = 'deploy_step' and tablename = 'index_builds'`,
  );
  if (ledger === undefined) return [];
  return await query(
    `select deploy, item, attempt, backend_pid, started_at from deploy_step.index_builds b
      where status = 'building'
        and not exists (select from pg_stat_activity a where a.pid = b.backend_pid and a.backend_start = b.backend_start)`,
  );
}
