import type { Client } from './client.ts';
import { quoteIdentifier } from './identifiers.ts';
import { MARK, tryQuery } from './read-only.ts';
import { sqlstateOf } from './sqlstate.ts';
import type { Extension } from './trusted-extension.ts';

/** A statement in pg_stat_statements, over all roles. Times are in milliseconds. */
export interface StatementStatistics {
  /** As text: it is a bigint. */
  readonly queryId: string;
  /** As the extension keeps it: constants are mostly replaced. Do not show it: see masked-statement.ts. */
  readonly query: string;
  readonly calls: number;
  readonly totalMs: number;
  readonly meanMs: number;
  readonly deviationMs: number;
  readonly rows: number;
}

interface SlowStatements {
  readonly statements: readonly StatementStatistics[];
  /** Statements of other roles whose text this role may not see. */
  readonly hidden: number;
}

/**
 * Reads the statements of this database that took longest in total. It must run in a transaction.
 * @param leastMs statements with a lower mean are left out
 * @returns the SQLSTATE if the view cannot be read, for example because its library is not loaded
 */
export async function readSlowStatements(
  client: Client,
  { schema }: Extension,
  { leastMs, leastCalls, most }: { leastMs: number; leastCalls: number; most: number },
): Promise<SlowStatements | { readonly sqlstate: string }> {
  const answer = await tryQuery(client, async () => {
    const { rows } = await client.query<StatementStatistics & { hidden: boolean }>(
      `${MARK}
       with statements as (
         select s.queryid,
                min(s.query) as query,
                bool_or(s.queryid is null) as hidden,
                sum(s.calls)::float8 as calls,
                sum(s.total_exec_time) as total,
                sum(s.rows)::float8 as rows,
                -- Of each role the mean and the deviation are known. Together they give the sum of the squares.
                sum(s.calls * (s.stddev_exec_time * s.stddev_exec_time + s.mean_exec_time * s.mean_exec_time)) as squares
           from ${quoteIdentifier(schema)}.pg_stat_statements s
          where s.dbid = (select oid from pg_database where datname = current_database())
            and s.query !~* 'pg-deploy-step|pg_deploy_step|deploy_step\\.'
          group by s.queryid, case when s.queryid is null then s.userid end
       )
       select queryid::text as "queryId", query, hidden, calls, total as "totalMs", total / calls as "meanMs",
              sqrt(greatest(0, squares / calls - (total / calls) ^ 2)) as "deviationMs", rows
         from statements
        where hidden or (calls >= $1 and total / calls >= $2
                         and query ~* '^\\s*((--[^\\n]*\\n|/\\*.*?\\*/)\\s*)*\\(*\\s*(select|insert|update|delete|merge|with|values)\\M')
        order by hidden, total desc
        limit $3`,
      [leastCalls, leastMs, most],
    );
    return rows;
  });
  if ('error' in answer) return { sqlstate: sqlstateOf(answer.error) ?? 'XX000' };
  return {
    statements: answer.value.filter(({ hidden }) => !hidden),
    hidden: answer.value.filter(({ hidden }) => hidden).length,
  };
}
