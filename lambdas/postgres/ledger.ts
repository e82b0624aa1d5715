import type { IndexStatus } from '../shared/report-schema.ts';
import { lockLedger } from './advisory-lock.ts';
import type { BuildTarget } from './build-target.ts';
import type { Client } from './client.ts';
import { INVALID_SCHEMA_NAME, sqlstateOf, UNDEFINED_TABLE } from './sqlstate.ts';

/** `retrying`: this attempt failed and another one follows. */
export type AttemptStatus = IndexStatus | 'retrying';

/** One attempt to build one index, or one partition's part of it, in one deploy: a row of deploy_step.index_builds. */
export interface Attempt {
  deploy: string;
  /** What the lanes call it: see BuildTarget. */
  item: string;
  schema: string;
  name: string;
  attempt: number;
  status: AttemptStatus;
  pid: number | null;
  /** Replaces an invalid leftover. */
  repairs: boolean;
  started: Date;
  finished: Date | null;
  bytes: number | null;
  sqlstate: string | null;
  message: string | null;
  /** Who held it up, as last seen. */
  blockedBy: string | null;
  /** Sessions that were ended because they held it up. */
  terminated: string | null;
}

const COLUMNS = `deploy, item, index_schema as schema, index_name as name, attempt, status, backend_pid as pid, repairs,
  started_at as started, finished_at as finished, bytes::float8 as bytes, sqlstate, message,
  blocked_by as "blockedBy", terminated`;

/**
 * Creates the ledger where it is not there yet. Two sessions may come at once: the loser of the race finds it made.
 * @throws insufficient_privilege where the role may not create a schema and nobody made it before.
 */
export async function ensureLedger(client: Client): Promise<void> {
  const { rows } = await client.query<{ ready: boolean }>(
    "select to_regclass('deploy_step.index_builds') is not null as ready",
  );
  if (rows[0]?.ready) return;
  await client.query('begin');
  try {
    await lockLedger(client);
    // CREATE SCHEMA IF NOT EXISTS asks for the right to make one first, which whoever was given a schema need not have.
    const { rows: schemas } = await client.query<{ there: boolean }>(
      "select to_regnamespace('deploy_step') is not null as there",
    );
    if (!schemas[0]?.there) await client.query('create schema deploy_step');
    await client.query(
      `create table if not exists deploy_step.index_builds (
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
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

const WORKER_DIED = 'The worker ended before it could say how the attempt went.';

/** Writes down that this session begins to build, and says which attempt of this deploy it is (from 1). */
export async function startAttempt(
  client: Client,
  deploy: string,
  target: BuildTarget,
  repairs: boolean,
): Promise<number> {
  await client.query(
    `update deploy_step.index_builds
        set status = 'retrying', finished_at = clock_timestamp(), message = coalesce(message, $3)
      where deploy = $1 and item = $2 and status = 'building'`,
    [deploy, target.item, WORKER_DIED],
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

/** How an attempt ended, or what is new of it. */
export interface Outcome {
  status: AttemptStatus;
  bytes?: number | undefined;
  sqlstate?: string | undefined;
  message?: string | undefined;
  blockedBy?: string | undefined;
  terminated?: string | undefined;
}

/** Writes down how an attempt goes or ended. The end's time is that of the first end. */
export async function noteAttempt(
  client: Client,
  deploy: string,
  item: string,
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
      item,
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

/** The last attempt of a deploy on one item. Undefined: there was none. */
export async function lastAttempt(
  client: Client,
  deploy: string,
  item: string,
): Promise<Attempt | undefined> {
  const { rows } = await client.query<Attempt>(
    `select ${COLUMNS} from deploy_step.index_builds where deploy = $1 and item = $2 order by attempt desc limit 1`,
    [deploy, item],
  );
  return rows[0];
}

/** How many attempts of a deploy on one item ended without anybody hearing why. */
export async function silentEnds(client: Client, deploy: string, item: string): Promise<number> {
  const { rows } = await client.query<{ ends: number }>(
    `select count(*)::int as ends
       from deploy_step.index_builds
      where deploy = $1 and item = $2 and status = 'retrying' and sqlstate is null and message is distinct from $3`,
    [deploy, item, WORKER_DIED],
  );
  return rows[0]?.ends ?? 0;
}

/** All attempts of a deploy, the oldest first. A ledger that is not there yet has none. */
export async function attemptsOf(client: Client, deploy: string): Promise<Attempt[]> {
  try {
    const { rows } = await client.query<Attempt>(
      `select ${COLUMNS} from deploy_step.index_builds where deploy = $1 order by started_at, item, attempt`,
      [deploy],
    );
    return rows;
  } catch (error) {
    const sqlstate = sqlstateOf(error);
    if (sqlstate === UNDEFINED_TABLE || sqlstate === INVALID_SCHEMA_NAME) return [];
    throw error;
  }
}
