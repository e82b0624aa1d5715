import type { IndexStatus } from '../shared/report-schema.ts';
import type { Build } from './build-target.ts';
import { type Client, trustedRolesOf } from './client.ts';
import type { Named, Table } from './identifiers.ts';
import { createLedgerTable } from './ledger-schema.ts';
import { isMissingTable } from './sqlstate.ts';
import { OWN_SCHEMA } from './table-findings.ts';
import { isTrustedRole } from './trusted-roles.ts';
import { withTrustedTable } from './trusted-table.ts';

/** `retrying`: this attempt failed and another one follows. */
type AttemptStatus = IndexStatus | 'retrying';

/** One attempt to build one item (an index, or its part on one partition) in one deploy: a row of deploy_step.index_builds. */
export interface Attempt {
  deploy: string;
  /** See build-item.ts. */
  item: string;
  schema: string;
  name: string;
  /** From 1. With 0, the row is no attempt: see `recordLeft`. */
  attempt: number;
  status: AttemptStatus;
  pid: number | null;
  /** Replaces an invalid index. */
  repairs: boolean;
  started: Date;
  finished: Date | null;
  bytes: number | null;
  sqlstate: string | null;
  message: string | null;
  /** The sessions that blocked it at the last check. */
  blockedBy: string | null;
  /** The sessions that were terminated because they blocked it. */
  terminated: string | null;
}

const COLUMNS = `deploy, item, index_schema as schema, index_name as name, attempt, status, backend_pid as pid, repairs,
  started_at as started, finished_at as finished, bytes::float8 as bytes, sqlstate, message,
  blocked_by as "blockedBy", terminated`;

/**
 * Creates the ledger if it does not exist. Two sessions may do this at the same time.
 * @throws insufficient_privilege when the ledger does not exist and the role may not create it
 */
export async function ensureLedger(client: Client): Promise<void> {
  const { rows } = await client.query<{ ready: boolean }>(
    "select to_regclass('deploy_step.index_builds') is not null as ready",
  );
  if (rows[0]?.ready) return;
  await createLedgerTable(
    client,
    `index_builds (
       deploy text not null,
       item text not null,
       attempt int not null,
       index_schema text not null,
       index_name text not null,
       table_name text not null,
       status text not null,
       backend_pid int,
       backend_start timestamptz,
       repairs boolean not null default false,
       started_at timestamptz not null default clock_timestamp(),
       finished_at timestamptz,
       bytes bigint,
       sqlstate text,
       message text,
       blocked_by text,
       terminated text,
       primary key (deploy, item, attempt)
     )`,
  );
}

/** The ledger. */
export const LEDGER: Table = { schema: OWN_SCHEMA, table: 'index_builds' };

/**
 * Runs statements on the ledger in one transaction. A session that builds waits for its statement without a timeout. That must
 * not apply to the ledger: a session that has locked it would block every function until Lambda ends the function.
 * @throws LockNotAvailable that names the blockers, after 10 s
 * @throws Refused when a role that is not trusted controls the ledger
 */
async function onLedger<T>(client: Client, use: () => Promise<T>): Promise<T> {
  return await withTrustedTable(client, LEDGER, 'row exclusive', use);
}

const FUNCTION_ENDED = 'The function ended before it recorded the result of the attempt.';

/**
 * Records that this session starts an attempt. An attempt of this deploy that is still recorded as building is marked as
 * failed: its function ended without recording a result.
 * @param repairs the attempt replaces an invalid index
 * @returns the number of the attempt in this deploy, from 1
 */
export async function startAttempt(build: Build, repairs: boolean): Promise<number> {
  return await onLedger(build.client, async () => await insertAttempt(build, repairs));
}

async function insertAttempt({ client, deploy, target }: Build, repairs: boolean): Promise<number> {
  await client.query(
    `update deploy_step.index_builds
        set status = 'retrying', finished_at = clock_timestamp(), message = coalesce(message, $3)
      where deploy = $1 and item = $2 and status = 'building'`,
    [deploy, target.item, FUNCTION_ENDED],
  );
  const { rows } = await client.query<{ attempt: number }>(
    `insert into deploy_step.index_builds
            (deploy, item, attempt, index_schema, index_name, table_name, status, backend_pid, backend_start, repairs)
     select $1, $2,
            coalesce((select max(attempt) from deploy_step.index_builds where deploy = $1 and item = $2), 0) + 1,
            $3, $4, $5, 'building', pid, backend_start, $6
       from pg_stat_get_activity(pg_backend_pid())
     returning attempt`,
    [
      deploy,
      target.item,
      target.entry.schema,
      target.entry.name,
      `${target.schema}.${target.table}`,
      repairs,
    ],
  );
  return rows[0]?.attempt ?? 1;
}

/**
 * Records that a batch has left an item to a lane without an attempt, because another session works on the index or its table.
 * Its row has the number 0, so that it uses up no attempt, and none that begins at the same moment is disturbed.
 */
export async function recordLeft(
  { client, deploy, target }: Build,
  { sqlstate, message }: { sqlstate: string; message: string },
): Promise<void> {
  await onLedger(client, async () => {
    await client.query(
      `insert into deploy_step.index_builds
              (deploy, item, attempt, index_schema, index_name, table_name, status, finished_at, sqlstate, message)
       values ($1, $2, 0, $3, $4, $5, 'retrying', clock_timestamp(), $6, $7)
           on conflict do nothing`,
      [
        ...[deploy, target.item, target.entry.schema, target.entry.name],
        ...[`${target.schema}.${target.table}`, sqlstate, message],
      ],
    );
  });
}

/** Records why retired indexes are not dropped in this deploy. Each row has the number 0, because that is no attempt. */
export async function recordKept(
  client: Client,
  deploy: string,
  kept: readonly { readonly item: string; readonly index: Named & Table; readonly reason: string }[],
): Promise<void> {
  if (kept.length === 0) return;
  await ensureLedger(client);
  await onLedger(client, async () => {
    await client.query(
      `insert into deploy_step.index_builds
              (deploy, item, attempt, index_schema, index_name, table_name, status, finished_at, message)
       select $1, k.item, 0, k.schema, k.name, k.table_name, 'kept', clock_timestamp(), k.message
         from rows from (unnest($2::text[]), unnest($3::text[]), unnest($4::text[]), unnest($5::text[]), unnest($6::text[]))
           as k (item, schema, name, table_name, message)
           on conflict do nothing`,
      [
        deploy,
        kept.map(({ item }) => item),
        kept.map(({ index }) => index.schema),
        kept.map(({ index }) => index.name),
        kept.map(({ index }) => `${index.schema}.${index.table}`),
        kept.map(({ reason }) => reason),
      ],
    );
  });
}

/** The state of an attempt. An undefined field keeps the value that is recorded. */
interface Outcome {
  status: AttemptStatus;
  bytes?: number | undefined;
  sqlstate?: string | undefined;
  message?: string | undefined;
  blockedBy?: string | undefined;
  /** Added to the sessions that are already recorded. */
  terminated?: string | undefined;
}

/** Records the state of an attempt. The time at which it first ended is kept. */
export async function recordAttempt(build: Build, attempt: number, outcome: Outcome): Promise<void> {
  await onLedger(build.client, async () => {
    await updateAttempt(build, attempt, outcome);
  });
}

/** Records that no attempt follows: in the row of the last one, or in a new row if the deploy has made none. */
export async function recordFailure(
  build: Build,
  { message }: Required<Pick<Outcome, 'message'>>,
): Promise<void> {
  await onLedger(build.client, async () => {
    const last = await selectLastAttempt(build);
    const attempt = last?.attempt || (await insertAttempt(build, false));
    await updateAttempt(build, attempt, { status: 'failed', message });
  });
}

async function updateAttempt(
  { client, deploy, target }: Build,
  attempt: number,
  outcome: Outcome,
): Promise<void> {
  await client.query(
    `update deploy_step.index_builds
        set status = $4,
            finished_at = case when $4 = 'building' then null else coalesce(finished_at, clock_timestamp()) end,
            bytes = coalesce($5::bigint, bytes),
            sqlstate = coalesce($6::text, sqlstate),
            message = coalesce($7::text, message),
            blocked_by = coalesce($8::text, blocked_by),
            terminated = case when $9::text is null then terminated else concat_ws('; ', terminated, $9::text) end
      where deploy = $1 and item = $2 and attempt = $3`,
    [
      deploy,
      target.item,
      attempt,
      outcome.status,
      outcome.bytes ?? null,
      outcome.sqlstate ?? null,
      outcome.message ?? null,
      outcome.blockedBy ?? null,
      outcome.terminated ?? null,
    ],
  );
}

/** The last attempt of a deploy on an item. Undefined: the deploy has made no attempt. */
export async function lastAttempt(build: Build): Promise<Attempt | undefined> {
  return await withTrustedTable(
    build.client,
    LEDGER,
    'access share',
    async () => await selectLastAttempt(build),
  );
}

async function selectLastAttempt({ client, deploy, target }: Build): Promise<Attempt | undefined> {
  const { rows } = await client.query<Attempt>(
    `select ${COLUMNS} from deploy_step.index_builds where deploy = $1 and item = $2 order by attempt desc limit 1`,
    [deploy, target.item],
  );
  return rows[0];
}

/** Number of failed attempts whose error is unknown: the build ended after its client had disconnected. */
export async function countUnexplainedFailures({ client, deploy, target }: Build): Promise<number> {
  return await withTrustedTable(client, LEDGER, 'access share', async () => {
    const { rows } = await client.query<{ failures: number }>(
      `select count(*)::int as failures
         from deploy_step.index_builds
        where deploy = $1 and item = $2 and status = 'retrying' and sqlstate is null and message is distinct from $3`,
      [deploy, target.item, FUNCTION_ENDED],
    );
    return rows[0]?.failures ?? 0;
  });
}

/** All attempts of a deploy, the oldest first, after the rows of `recordLeft`. Empty when the ledger does not exist. */
export async function attemptsOf(client: Client, deploy: string): Promise<Attempt[]> {
  try {
    return await withTrustedTable(client, LEDGER, 'access share', async () => {
      const { rows } = await client.query<Attempt>(
        `select ${COLUMNS} from deploy_step.index_builds where deploy = $1 order by attempt > 0, started_at, item, attempt`,
        [deploy],
      );
      return rows;
    });
  } catch (error) {
    if (isMissingTable(error)) return [];
    throw error;
  }
}

/** The time by which the ledger's times are recorded. */
export async function currentTime(client: Client): Promise<Date> {
  const { rows } = await client.query<{ now: Date }>('select clock_timestamp() as now');
  return rows[0]?.now ?? new Date();
}

const DEPLOY_ENDED =
  'The deploy ended before it recorded the result of the attempt. A later deploy recorded it.';

/**
 * Completes the attempts at indexes that are recorded as building although their session has ended: their deploy was killed or
 * aborted, so that none of its functions recorded a result.
 * @param indexes with `valid`: the index is valid and has the registry's definition. The last attempt at it has built it.
 */
export async function completeAbandoned(
  client: Client,
  indexes: readonly (Named & { valid: boolean })[],
): Promise<void> {
  await onLedger(client, async () => {
    await client.query(
      `update deploy_step.index_builds b
          set status = case when not w.valid or l.deploy is not null then 'retrying'
                            when b.repairs then 'repaired'
                            else 'built' end,
              finished_at = clock_timestamp(),
              message = coalesce(b.message, $4)
         from deploy_step.index_builds a
         join rows from (unnest($1::text[]), unnest($2::text[]), unnest($3::boolean[])) as w (schema, name, valid)
           on w.schema = a.index_schema and w.name = a.index_name
         left join lateral (select deploy from deploy_step.index_builds later
                             where later.item = a.item and later.started_at > a.started_at
                               and later.status in ('built', 'repaired') limit 1) l on true
        where a.deploy = b.deploy and a.item = b.item and a.attempt = b.attempt
          and b.status = 'building'
          and not exists (select from pg_stat_get_activity(null) s
                           where s.pid = b.backend_pid
                             -- Null: the role may not see when the session of another role began. Such a session can
                             -- have got the process ID of the one that ended.
                             and (s.backend_start = b.backend_start
                                  or s.backend_start is null and ${isTrustedRole('s.usesysid', '$5')}))`,
      [
        indexes.map((index) => index.schema),
        indexes.map((index) => index.name),
        indexes.map((index) => index.valid),
        DEPLOY_ENDED,
        trustedRolesOf(client),
      ],
    );
  });
}
