import pg from 'pg';
import type { Client } from './client.ts';
import { configuredSearchPath, OWN_SEARCH_PATH } from './search-path.ts';

/*
 * Plans a query of the application. The query is prepared and explained, never executed, except by `analyzeQuery`. Everything
 * runs in a read-only transaction that is rolled back: also planning runs code, the immutable and stable functions of the query.
 */

/** One node of a plan, as EXPLAIN (VERBOSE, FORMAT JSON) prints it: only the fields that are read. */
export interface PlanNode {
  readonly 'Node Type': string;
  readonly 'Parent Relationship'?: string;
  readonly 'Subplan Name'?: string;
  readonly 'Relation Name'?: string;
  readonly Schema?: string;
  readonly Alias?: string;
  readonly 'Index Name'?: string;
  readonly 'Startup Cost'?: number;
  readonly 'Total Cost': number;
  readonly 'Plan Rows': number;
  readonly 'Plan Width'?: number;
  readonly 'Actual Rows'?: number;
  readonly 'Actual Loops'?: number;
  readonly 'Actual Total Time'?: number;
  readonly Filter?: string;
  readonly 'Index Cond'?: string;
  readonly 'Recheck Cond'?: string;
  readonly 'Hash Cond'?: string;
  readonly 'Merge Cond'?: string;
  readonly 'Join Filter'?: string;
  readonly 'Order By'?: string;
  readonly 'Sort Key'?: readonly string[];
  readonly 'Group Key'?: readonly string[];
  readonly Output?: readonly string[];
  readonly Plans?: readonly PlanNode[];
}

/** How long planning may take, and wait for a lock on a table. */
const PLANNING_SETTINGS = "set local statement_timeout = '60s'; set local lock_timeout = '5s'";

/** The prepared statement of a query. Prepared statements survive a rollback: `withQuery` deallocates it. */
const STATEMENT = 'pg_deploy_step_query';

/** A query that the server has prepared, in its transaction. */
export interface PreparedQuery {
  readonly client: Client;
  readonly text: string;
  /** The types of its parameters, as format_type prints them. */
  readonly parameterTypes: readonly string[];
  /** server_version_num: 180004. */
  readonly serverVersion: number;
}

/**
 * Prepares a query in a read-only transaction, passes it to `use`, and rolls back.
 * @param text exactly one statement, which the caller has parsed
 * @throws DatabaseError with SQLSTATE 42P18 if the type of a parameter is unknown
 */
export async function withQuery<T>(
  client: Client,
  text: string,
  use: (query: PreparedQuery) => Promise<T>,
): Promise<T> {
  await client.query(`begin transaction isolation level read committed read only; ${PLANNING_SETTINGS}`);
  try {
    await inConfiguredPath(client, `prepare ${STATEMENT} as ${text}`);
    const { rows } = await client.query<{ types: string[]; version: number }>(
      `select parameter_types::text[] as types, current_setting('server_version_num')::int as version
         from pg_prepared_statements where name = $1`,
      [STATEMENT],
    );
    return await use({
      client,
      text,
      parameterTypes: rows[0]?.types ?? [],
      serverVersion: rows[0]?.version ?? 0,
    });
  } finally {
    // They can only fail if the connection is lost.
    await client.query('rollback').catch(() => {});
    await client.query(`deallocate ${STATEMENT}`).catch(() => {});
  }
}

/** Runs a statement of the user with the configured search path. An error ends the transaction, or its savepoint. */
export async function inConfiguredPath(
  client: Client,
  statement: string,
  values?: readonly string[],
): Promise<pg.QueryResult> {
  await setPath(client, await textOfPath(client));
  const result = await client.query(statement, values === undefined ? undefined : [...values]);
  await setPath(client, OWN_SEARCH_PATH);
  return result;
}

async function setPath(client: Client, path: string): Promise<void> {
  await client.query("select pg_catalog.set_config('search_path', $1, true)", [path]);
}

async function textOfPath(client: Client): Promise<string> {
  const names = await configuredSearchPath(client);
  return names.map((name) => pg.escapeIdentifier(name)).join(', ');
}

/** Runs `use` in a savepoint that is rolled back, so that settings of `use` end with it, and an error does not end the transaction. */
export async function inSavepoint<T>(client: Client, use: () => Promise<T>): Promise<T> {
  await client.query('savepoint pg_deploy_step_explain');
  try {
    return await use();
  } finally {
    // They can only fail if the connection is lost.
    await client
      .query('rollback to savepoint pg_deploy_step_explain; release savepoint pg_deploy_step_explain')
      .catch(() => {});
  }
}

function planOf({ rows }: pg.QueryResult): PlanNode {
  const [row] = rows as { 'QUERY PLAN': { Plan: PlanNode }[] }[];
  const plan = row?.['QUERY PLAN'][0]?.Plan;
  if (plan === undefined) throw new Error('EXPLAIN returned no plan.');
  return plan;
}

/** Null is a value too: the query is planned for it. */
export type ParameterValue = string | null;

/** The statement that `explain` plans. */
const PLANNED = 'pg_deploy_step_plan';

/**
 * Explains the query with values. It is prepared again each time, because the server keeps generic plans, and does not know that
 * they depend on the settings and on hypothetical indexes.
 */
async function explainWith(
  { client, text, parameterTypes }: PreparedQuery,
  values: readonly ParameterValue[],
  options = 'format json, verbose',
): Promise<PlanNode> {
  if (parameterTypes.length === 0)
    return planOf(await inConfiguredPath(client, `explain (${options}) ${text}`));
  const literals = values.map((value) => (value === null ? 'null' : pg.escapeLiteral(value)));
  await inConfiguredPath(client, `prepare ${PLANNED} as ${text}`);
  try {
    return planOf(
      await inConfiguredPath(client, `explain (${options}) execute ${PLANNED}(${literals.join(', ')})`),
    );
  } finally {
    // After an error the transaction accepts it only when the savepoint has been rolled back.
    await client.query('rollback to savepoint pg_deploy_step_explain').catch(() => {});
    await client.query(`deallocate ${PLANNED}`).catch(() => {});
  }
}

/** The plan for these values. Their number must be that of the parameters. */
export async function planWithValues(
  query: PreparedQuery,
  values: readonly ParameterValue[],
): Promise<PlanNode> {
  return await inSavepoint(query.client, async () => {
    await query.client.query('set local plan_cache_mode = force_custom_plan');
    return await explainWith(query, values);
  });
}

/**
 * The plan for any values. From version 16 on EXPLAIN makes it itself. Before, the generic plan of the prepared statement is
 * forced: without that, the values NULL of EXECUTE would make every condition false.
 */
export async function planGenerically(query: PreparedQuery): Promise<PlanNode> {
  return await inSavepoint(query.client, async () => await genericPlan(query));
}

async function genericPlan(query: PreparedQuery): Promise<PlanNode> {
  const { client, text, parameterTypes, serverVersion } = query;
  if (serverVersion >= 160_000)
    return planOf(await inConfiguredPath(client, `explain (generic_plan, format json, verbose) ${text}`));
  // Partitions that no value NULL can be in would be missing.
  await client.query(
    'set local plan_cache_mode = force_generic_plan; set local enable_partition_pruning = off',
  );
  return await explainWith(
    query,
    parameterTypes.map(() => null),
  );
}

/** Plans without indexes, so that each condition is shown at its table, and each join and sort order in a node of its own. */
const WITHOUT_INDEXES = `
  set local enable_indexscan = off; set local enable_bitmapscan = off; set local enable_indexonlyscan = off;
  set local enable_nestloop = off; set local enable_mergejoin = off; set local max_parallel_workers_per_gather = 0;
  set local enable_partitionwise_join = off; set local enable_partitionwise_aggregate = off;
  set local enable_incremental_sort = off; set local enable_memoize = off; set local enable_tidscan = off`;

/** The generic plan of a server that may use no index: what the query asks of each table. */
export async function planWithoutIndexes(query: PreparedQuery): Promise<PlanNode> {
  return await inSavepoint(query.client, async () => {
    await query.client.query(WITHOUT_INDEXES);
    return await genericPlan(query);
  });
}

/**
 * Executes the query and returns its plan with the real rows and times.
 * @param timeoutMs after which the server ends the query
 */
export async function analyzeQuery(
  query: PreparedQuery,
  values: readonly ParameterValue[],
  timeoutMs: number,
): Promise<PlanNode> {
  return await inSavepoint(query.client, async () => {
    await query.client.query("select set_config('statement_timeout', $1, true)", [`${timeoutMs}ms`]);
    await query.client.query('set local plan_cache_mode = force_custom_plan');
    return await explainWith(query, values, 'analyze, format json, verbose');
  });
}

/** Whether a text is a value of a type. Code of the type, or of a domain, runs. */
export async function isValueOf(client: Client, type: string, value: ParameterValue): Promise<boolean> {
  try {
    await inSavepoint(
      client,
      async () =>
        await client.query(`select cast(${value === null ? 'null' : pg.escapeLiteral(value)} as ${type})`),
    );
    return true;
  } catch {
    return false;
  }
}

/** SQLSTATE: the type of a parameter is unknown. */
export const INDETERMINATE_DATATYPE = '42P18';
/** SQLSTATE: a parameter has two types. */
export const AMBIGUOUS_PARAMETER = '42P08';

/**
 * The number of rows that the planner expects from a table with conditions, and the cost of reading it without indexes.
 * @param conditions for one statement with the parameters of the query, `from` its table with an alias
 */
export async function scanOfTable(
  query: PreparedQuery,
  {
    from,
    conditions,
    values,
  }: { from: string; conditions: readonly string[]; values: readonly ParameterValue[] | null },
): Promise<{ rows: number; cost: number }> {
  const { client, parameterTypes } = query;
  const types = parameterTypes.length === 0 ? '' : `(${parameterTypes.join(', ')})`;
  const where = conditions.length === 0 ? '' : ` where ${conditions.map((one) => `(${one})`).join(' and ')}`;
  const literals = parameterTypes.map((_, at) => {
    const value = values?.[at] ?? null;
    return value === null ? 'null' : pg.escapeLiteral(value);
  });
  const call = literals.length === 0 ? '' : `(${literals.join(', ')})`;
  return await inSavepoint(client, async () => {
    const mode = values === null ? 'force_generic_plan' : 'force_custom_plan';
    // A scan without workers shows all rows of the table, not those of one worker.
    await client.query(`set local plan_cache_mode = ${mode}; ${WITHOUT_INDEXES}`);
    await inConfiguredPath(client, `prepare ${PLANNED}${types} as select 1 from ${from}${where}`);
    try {
      const result = await inConfiguredPath(client, `explain (format json) execute ${PLANNED}${call}`);
      const plan = planOf(result);
      return { rows: plan['Plan Rows'], cost: plan['Total Cost'] };
    } finally {
      await client.query('rollback to savepoint pg_deploy_step_explain').catch(() => {});
      await client.query(`deallocate ${PLANNED}`).catch(() => {});
    }
  });
}

/** What the planner computes of an expression without columns. Null: the expression is wrong, or its code raises an error. */
export async function constantOf({ client }: PreparedQuery, expression: string): Promise<string | null> {
  try {
    const result = await inSavepoint(
      client,
      async () => await inConfiguredPath(client, `explain (format json, verbose) select ${expression}`),
    );
    return planOf(result).Output?.[0] ?? null;
  } catch {
    return null;
  }
}
