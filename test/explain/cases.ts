import { globSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { Client } from 'pg';
import { type ExplainedQuery, explainQueries } from '../../lib/explain/explain-queries.ts';
import { readQuery, withParameters } from '../../lib/explain/query-source.ts';
import { quoteWhereNeeded } from '../../lib/sql/quote-where-needed.ts';

/*
 * Cases in data files: a schema, queries, and the index that is best for each. What is best is measured: every index of one or
 * two columns of the query is really created, and the planner compares.
 */

/** One query of a data file. */
export interface Case {
  readonly name: string;
  readonly query: string;
  readonly params?: readonly string[];
  /** TABLE DEFINITION of the best index that someone found. Null: no index helps, or an existing one serves. */
  readonly best: string | null;
  /** The query is about a limit of what is known: also a proposal is accepted if it lowers the cost. */
  readonly anyProposal?: boolean;
}

export interface CaseFile {
  readonly file: string;
  readonly about: string;
  readonly schema: readonly string[];
  readonly cases: readonly Case[];
}

const FOLDER = join(import.meta.dirname, 'cases');

export const CASE_FILES: readonly CaseFile[] = globSync('*.json', { cwd: FOLDER })
  .toSorted()
  .map((name) => ({
    file: basename(name, '.json'),
    ...JSON.parse(readFileSync(join(FOLDER, name), 'utf8')),
  }));

/** What was measured for a case. Costs are those of the planner, with the values. */
export interface Measured {
  readonly name: string;
  readonly explained: ExplainedQuery;
  readonly before: number;
  /** Null: nothing was proposed. */
  readonly proposed: number | null;
  /** The least cost with any alternative, and which one. */
  readonly best: number;
  readonly bestIndex: string | null;
  /** The proposal is as good as the best alternative; or there is none, and no alternative helps. */
  readonly good: boolean;
}

/** A difference of costs that nobody notices. */
const TOLERANCE = 1.02;
/** An index that lowers the cost by less is not worth it. */
const WORTH = 0.8;

/** Creates the schema of a file in a database, asks for proposals, and measures them with real indexes. */
export async function measure(url: string, file: CaseFile): Promise<Measured[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    for (const statement of file.schema) await client.query(statement);
    // So that ANALYZE reads all rows, and the same index always has the same cost.
    await client.query('set default_statistics_target = 300');
    await client.query('vacuum analyze');
    const explained = await explainQueries(
      url,
      file.cases.map(({ name, query, params = [] }) =>
        withParameters(readQuery(query, { name, file: null }), params),
      ),
      { searchPath: undefined, registry: [], minRows: 0, tenantColumn: 'tenant_id', analyzeMs: null },
    );
    return await measureAll(client, file.cases, explained);
  } finally {
    await client.end();
  }
}

async function measureAll(
  client: Client,
  cases: readonly Case[],
  explained: readonly ExplainedQuery[],
): Promise<Measured[]> {
  const alternatives = await alternativesOf(client, cases);
  const costs = cases.map(() => new Map<string, number>());
  for (const [index, wanted] of alternatives) {
    const measured = await costsWith(
      client,
      index,
      cases.filter((one) => wanted.has(one.name)),
    );
    for (const [name, cost] of measured) costs[cases.findIndex((one) => one.name === name)]?.set(index, cost);
  }
  const results: Measured[] = [];
  for (const [at, one] of cases.entries()) {
    const before = (await costsWith(client, null, [one])).get(one.name) ?? Number.NaN;
    const own = explained[at];
    if (own === undefined) throw new Error(`${one.name} was not explained.`);
    const definition = own.proposal === null ? null : definitionOf(own);
    const proposed = definition === null ? null : (await costsWith(client, definition, [one])).get(one.name);
    const [bestIndex, best] = [...(costs[at] ?? [])].toSorted(([, x], [, y]) => x - y)[0] ?? [null, before];
    const useless = best >= before * WORTH;
    const good =
      proposed === null || proposed === undefined
        ? one.best === null || useless
        : one.best === null
          ? one.anyProposal === true && proposed < before
          : proposed <= best * TOLERANCE + 0.05;
    results.push({
      name: one.name,
      explained: own,
      before,
      proposed: proposed ?? null,
      best,
      bestIndex,
      good,
    });
  }
  return results;
}

/** `TABLE DEFINITION` of a proposal. */
function definitionOf({ proposal }: ExplainedQuery): string {
  const [, rest = ''] =
    /^create index concurrently if not exists \S+ on (.*)$/s.exec(proposal?.entry.sql ?? '') ?? [];
  return rest;
}

/** The indexes to measure, each with the names of the cases that it may help. */
async function alternativesOf(client: Client, cases: readonly Case[]): Promise<Map<string, Set<string>>> {
  const { rows } = await client.query<{ table: string; on: string; column: string }>(
    `select c.relname as "table", c.oid::regclass::text as on, a.attname as column
       from pg_attribute a join pg_class c on c.oid = a.attrelid
      where c.relnamespace::regnamespace::text !~ '^(pg_|information_schema)' and c.relkind in ('r', 'p') and not c.relispartition
        and a.attnum > 0 and not a.attisdropped and a.atttypid not in ('jsonb'::regtype, 'tsvector'::regtype, 'tstzrange'::regtype)`,
  );
  const found = new Map<string, Set<string>>();
  const add = (index: string, name: string) => found.set(index, (found.get(index) ?? new Set()).add(name));
  for (const { name, query, best } of cases) {
    if (best !== null) add(best, name);
    const words = new Set(query.split(/\W+/));
    const isView = /\btimeline\b/.test(query);
    const tables = new Set(
      rows.map((row) => row.table).filter((table) => words.has(table) || (isView && table === 'posts')),
    );
    for (const table of tables) {
      const columns = rows
        .filter(
          (row) =>
            row.table === table && (words.has(row.column) || (isView && /_at$|visib/.test(row.column))),
        )
        .map(({ column }) => quoteWhereNeeded(column));
      const on = rows.find((row) => row.table === table)?.on ?? table;
      for (const first of columns) {
        add(`${on} (${first})`, name);
        for (const second of columns) if (second !== first) add(`${on} (${first}, ${second})`, name);
      }
    }
  }
  return found;
}

/** The costs of queries while an index exists. */
async function costsWith(
  client: Client,
  index: string | null,
  cases: readonly Case[],
): Promise<Map<string, number>> {
  const costs = new Map<string, number>();
  await client.query('begin');
  try {
    if (index !== null) {
      await client.query(`create index on ${index}`);
      // Nothing is known about an expression before.
      if (index.includes('((') || /\(\w+\(/.test(index)) await client.query(`analyze ${index.split(' ')[0]}`);
    }
    for (const { name, query, params = [] } of cases) costs.set(name, await costOf(client, query, params));
  } finally {
    await client.query('rollback');
  }
  return costs;
}

async function costOf(client: Client, query: string, params: readonly string[]): Promise<number> {
  await client.query('set local plan_cache_mode = force_custom_plan');
  await client.query(`prepare measured as ${query}`);
  const values = params.length === 0 ? '' : `(${params.map((one) => client.escapeLiteral(one)).join(', ')})`;
  const { rows } = await client.query(`explain (format json) execute measured${values}`);
  await client.query('deallocate measured');
  return rows[0]['QUERY PLAN'][0].Plan['Total Cost'];
}

/** A line for each case that is not good. */
export function shortfalls(measured: readonly Measured[]): string[] {
  return measured
    .filter(({ good }) => !good)
    .map(({ name, explained, before, proposed, best, bestIndex }) => {
      const sql = explained.proposal?.entry.sql ?? 'nothing';
      return `${name}: ${before} → ${proposed} with ${sql}; ${best} with ${bestIndex} (${explained.verdict}: ${explained.message})`;
    });
}
