import type { CompiledIndex } from '../shared/registry.ts';
import type { IndexStatus } from '../shared/report.ts';
import type { Client } from './client.ts';
import { INVALID_SCHEMA_NAME, sqlstateOf, UNDEFINED_TABLE } from './sqlstate.ts';

/** `retrying`: this attempt failed and another one follows. */
export type AttemptStatus = IndexStatus | 'retrying';

/** One attempt to build one index in one deploy: a row of deploy_step.index_builds. */
export interface Attempt {
  deploy: string;
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
}

const COLUMNS = `deploy, index_schema as schema, index_name as name, attempt, status, backend_pid as pid, repairs,
  started_at as started, finished_at as finished, bytes::float8 as bytes, sqlstate, message`;

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
    // CREATE ... IF NOT EXISTS looks and creates in two steps, so that two sessions can collide in between.
    await client.query("select pg_advisory_xact_lock(hashtext('pg-deploy-step ledger'))");
    await client.query('create schema if not exists deploy_step');
    await client.query(
      `create table if not exists deploy_step.index_builds (
         deploy text not null,
         index_schema text not null,
         index_name text not null,
         attempt int not null,
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
         primary key (deploy, index_schema, index_name, attempt)
       )`,
    );
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => {});
    throw error;
  }
}

/** Writes down that this session begins to build, and says which attempt of this deploy it is (from 1). */
export async function startAttempt(
  client: Client,
  deploy: string,
  index: CompiledIndex,
  repairs: boolean,
): Promise<number> {
  const { rows } = await client.query<{ attempt: number }>(
    `insert into deploy_step.index_builds
            (deploy, index_schema, index_name, table_name, attempt, status, backend_pid, backend_start, repairs)
     select $1, $2, $3, $4,
            coalesce((select max(attempt) from deploy_step.index_builds
                       where deploy = $1 and index_schema = $2 and index_name = $3), 0) + 1,
            'building', pid, backend_start, $5
       from pg_stat_get_activity(pg_backend_pid())
     returning attempt`,
    [deploy, index.schema, index.name, index.table, repairs],
  );
  return rows[0]?.attempt ?? 1;
}

/** How an attempt ended. */
export interface Outcome {
  status: AttemptStatus;
  bytes?: number | undefined;
  sqlstate?: string | undefined;
  message?: string | undefined;
}

/** Writes down how an attempt ended; does nothing to one that is ended already with the same status. */
export async function finishAttempt(
  client: Client,
  deploy: string,
  index: CompiledIndex,
  attempt: number,
  outcome: Outcome,
): Promise<void> {
  await client.query(
    `update deploy_step.index_builds
        set status = $5,
            finished_at = coalesce(finished_at, clock_timestamp()),
            bytes = coalesce($6::bigint, bytes),
            sqlstate = coalesce($7::text, sqlstate),
            message = coalesce($8::text, message)
      where deploy = $1 and index_schema = $2 and index_name = $3 and attempt = $4`,
    [
      deploy,
      index.schema,
      index.name,
      attempt,
      outcome.status,
      outcome.bytes ?? null,
      outcome.sqlstate ?? null,
      outcome.message ?? null,
    ],
  );
}

/** The last attempt of a deploy on one index. Undefined: there was none. */
export async function lastAttempt(
  client: Client,
  deploy: string,
  index: CompiledIndex,
): Promise<Attempt | undefined> {
  const { rows } = await client.query<Attempt>(
    `select ${COLUMNS}
       from deploy_step.index_builds
      where deploy = $1 and index_schema = $2 and index_name = $3
      order by attempt desc
      limit 1`,
    [deploy, index.schema, index.name],
  );
  return rows[0];
}

/** All attempts of a deploy, the oldest first. A ledger that is not there yet has none. */
export async function attemptsOf(client: Client, deploy: string): Promise<Attempt[]> {
  try {
    const { rows } = await client.query<Attempt>(
      `select ${COLUMNS} from deploy_step.index_builds where deploy = $1 order by index_schema, index_name, attempt`,
      [deploy],
    );
    return rows;
  } catch (error) {
    const sqlstate = sqlstateOf(error);
    if (sqlstate === UNDEFINED_TABLE || sqlstate === INVALID_SCHEMA_NAME) return [];
    throw error;
  }
}
