import { backendOf, type Client } from '../../lambdas/postgres/client.ts';
import { connectClient } from '../../lambdas/postgres/connect.ts';
import {
  AMBIGUOUS_PARAMETER,
  analyzeQuery,
  INDETERMINATE_DATATYPE,
  isValueOf,
  type ParameterValue,
  type PlanNode,
  type PreparedQuery,
  planGenerically,
  planWithoutIndexes,
  planWithValues,
  withQuery,
} from '../../lambdas/postgres/plan-query.ts';
import { firstSchema as firstNamed } from '../../lambdas/postgres/resolve-registry.ts';
import { configuredSearchPath, configureSearchPath } from '../../lambdas/postgres/search-path.ts';
import { pinSettings } from '../../lambdas/postgres/session-settings.ts';
import { describeDatabaseError, sqlstateOf } from '../../lambdas/postgres/sqlstate.ts';
import {
  askedKey,
  type PlannerCosts,
  readPlannerCosts,
  readRootIndexes,
  readTableFacts,
  type TableFacts,
} from '../../lambdas/postgres/table-facts.ts';
import { readTrustedExtensions } from '../../lambdas/postgres/trusted-extension.ts';
import { untrustedOwnersOfCode } from '../../lambdas/postgres/untrusted-owners.ts';
import { DeployStepError } from '../../lambdas/shared/errors.ts';
import type { Verdict } from '../../lambdas/shared/query-verdicts.ts';
import type { RegistryEntry } from '../../lambdas/shared/registry.ts';
import { listed } from '../../lambdas/shared/text.ts';
import { visible } from '../../lambdas/shared/visible-text.ts';
import { describeVerdict } from './describe-verdict.ts';
import { scansOf } from './plan-scans.ts';
import type { Extensions } from './proposals/predicates.ts';
import { type Proposal, propose } from './proposals/propose.ts';
import { shapesOf } from './proposals/query-shape.ts';
import { entriesToDeploy } from './proposals/registered-candidates.ts';
import type { Profile, QuerySource } from './query-source.ts';
import { describeRetired, hideRetired, type RetiredInPlans } from './retired-in-plans.ts';
import { valueDependentTables } from './value-dependent.ts';
import { asGeneric, DEFAULT_MIN_ROWS, judge, type PlanVerdict, type ReadTable, worst } from './verdict.ts';

export interface ExplainOptions {
  /** Undefined: that of the role. */
  readonly searchPath: readonly string[] | undefined;
  readonly registry: readonly RegistryEntry[];
  /** See `VerdictContext`. */
  readonly minRows: number | null;
  /** Null: the tables have no tenants. */
  readonly tenantColumn: string | null;
  /** Execute each query with its values, at most so long. Null: queries are only planned. */
  readonly analyzeMs: number | null;
  /** Whether an index is proposed for a query that no index serves. @default true */
  readonly propose?: boolean;
  /** Plan only if no other role than these and the ones that it trusts anyway owns code. @default code of all roles may run */
  readonly trustedRoles?: readonly string[];
}

/** A query that could not be read. */
export interface UnreadQuery {
  readonly name: string;
  readonly file: string | null;
  readonly line: number;
  readonly problem: string;
}

/** The plan of a query for one profile. */
export interface ProfilePlan {
  readonly profile: string;
  readonly verdict: Verdict;
  readonly index: string | null;
  readonly cost: number;
  /** Only if the query was executed. */
  readonly actual?: { readonly rows: number; readonly ms: number };
}

/** What `explain` says about a query. Fields are added, never renamed. */
export interface ExplainedQuery {
  readonly name: string;
  readonly verdict: Verdict;
  readonly index: string | null;
  readonly cost: number | null;
  readonly message: string;
  readonly proposal: Proposal | null;
  readonly file: string | null;
  readonly line: number;
  /** The indexes of the registry that name the query in `serves`. */
  readonly servedBy: readonly string[];
  /** The plan for any values. Null: it could not be made. */
  readonly generic: {
    readonly verdict: Verdict;
    readonly index: string | null;
    readonly cost: number;
  } | null;
  /** The plans with values. */
  readonly profiles: readonly ProfilePlan[];
  readonly tables: readonly ReadTable[];
}

interface Session extends ExplainOptions {
  readonly client: Client;
  readonly extensions: Extensions;
  readonly costs: PlannerCosts;
  readonly firstSchema: string | null;
  readonly retired: readonly RetiredInPlans[];
}

/**
 * Plans queries in a database. Nothing is changed, and nothing is executed without `analyzeMs`.
 * @throws DeployStepError if the database cannot be reached, UntrustedCode if a role that is not trusted owns code
 */
export async function explainQueries(
  databaseUrl: string,
  queries: readonly (QuerySource | UnreadQuery)[],
  options: ExplainOptions,
): Promise<ExplainedQuery[]> {
  const client = await connectClient(
    { connectionString: databaseUrl },
    { application_name: 'pg-deploy-step explain', connectionTimeoutMillis: 15_000 },
  );
  try {
    await pinSettings(client, backendOf(client));
    if (options.trustedRoles !== undefined) await refuseUntrustedCode(client, options.trustedRoles);
    if (options.searchPath !== undefined) configureSearchPath(client, options.searchPath);
    const extensions = await readTrustedExtensions(client, ['hypopg', 'pg_trgm']);
    const firstSchema = firstNamed(await configuredSearchPath(client));
    const retired = options.registry.filter((entry) => entry.retired !== undefined);
    const session: Session = {
      ...options,
      // Nothing is to be built for a retired entry.
      registry: options.registry.filter((entry) => entry.retired === undefined),
      ...{ client, extensions, firstSchema },
      costs: await readPlannerCosts(client),
      retired: await hideRetired(client, { retired, firstSchema, hypopg: extensions.get('hypopg') }),
    };
    const explained: ExplainedQuery[] = [];
    for (const query of queries) {
      explained.push('problem' in query ? unread(query) : await explainQuery(session, query));
    }
    return explained;
  } finally {
    await client.end().catch(() => {});
  }
}

/** A role that is not trusted owns code that planning can run. */
export class UntrustedCode extends Error {
  override readonly name = 'UntrustedCode';
}

async function refuseUntrustedCode(client: Client, trustedRoles: readonly string[]): Promise<void> {
  const owners = await untrustedOwnersOfCode(client, trustedRoles);
  if (owners.length === 0) return;
  throw new UntrustedCode(
    `PostgreSQL runs functions and domains of a query when it plans it, and ${listed(owners.map(visible), 5)} ${owners.length === 1 ? 'owns' : 'own'} some, but this role does not trust ${owners.length === 1 ? 'that role' : 'those roles'}. ` +
      'Run pg-deploy-step explain as a role that may only read, or name the roles in --trusted-role.',
  );
}

function unread({ name, file, line, problem }: UnreadQuery): ExplainedQuery {
  return { ...failed({ name, file, line }, problem) };
}

function failed(
  { name, file, line }: Pick<QuerySource, 'name' | 'file' | 'line'>,
  message: string,
): ExplainedQuery {
  return {
    ...{ name, verdict: 'error', index: null, cost: null, message, proposal: null, file, line },
    ...{ servedBy: [], generic: null, profiles: [], tables: [] },
  };
}

async function explainQuery(session: Session, source: QuerySource): Promise<ExplainedQuery> {
  try {
    return await withQuery(
      session.client,
      source.sql,
      async (query) => await explainPrepared(session, source, query),
    );
  } catch (error) {
    if (error instanceof DeployStepError) throw error;
    return failed(source, await problemOf(error, source));
  }
}

/** Why a query cannot be planned. */
async function problemOf(error: unknown, { parameters }: QuerySource): Promise<string> {
  const sqlstate = sqlstateOf(error);
  if (error instanceof ValueProblem) return error.message;
  if (sqlstate === INDETERMINATE_DATATYPE || sqlstate === AMBIGUOUS_PARAMETER) {
    // The number is the same in every language of the server.
    const number = /\$(\d+)/.exec(error instanceof Error ? error.message : '')?.[1];
    const parameter = number === undefined ? 'a parameter' : (parameters[Number(number) - 1] ?? `$${number}`);
    const why = sqlstate === INDETERMINATE_DATATYPE ? 'cannot be inferred' : 'has two answers in this query';
    return `The type of parameter ${parameter} ${why}. Write a cast to its type in the query, such as ${parameter}::bigint or ${parameter}::text.`;
  }
  return `PostgreSQL cannot plan the query: ${describeDatabaseError(error)}`;
}

class ValueProblem extends Error {
  override readonly name = 'ValueProblem';
}

async function explainPrepared(
  session: Session,
  source: QuerySource,
  query: PreparedQuery,
): Promise<ExplainedQuery> {
  const generic = await planGenerically(query);
  const planned = await plansWithValues(query, source);
  const bare = await planWithoutIndexes(query);
  const plans = [generic, bare, ...planned.map(({ plan }) => plan)];
  const facts = await readFactsOf(session.client, plans);
  const rootIndexes = await readRootsOf(session.client, plans);
  const entries = session.registry.filter(({ serves }) => serves.includes(source.name));
  const serving = entries.map(({ name }) => name);
  const context = { facts, rootIndexes, serving, minRows: session.minRows, generic };
  const dependent = valueDependentTables(shapesOf(bare, facts), facts);
  const genericVerdict = asGeneric(judge(generic, context), dependent);
  const judged = planned.map((one) => ({ ...one, ...judge(one.plan, context) }));
  const decisive = worst(judged) ?? { ...genericVerdict, values: null, plan: generic };
  const analyzed =
    session.analyzeMs === null
      ? []
      : await analyzeAll(query, { source, judged, timeoutMs: session.analyzeMs });
  const missing = missingValues(source);
  const isServed = decisive.verdict === 'index' && serving.length > 0;
  const isComplete = isServed || session.propose === false;
  const proposed = isComplete ? null : await proposalFor(session, { query, source, facts, decisive });
  const toDeploy = isComplete
    ? []
    : entriesToDeploy(entries, [...facts.values()], session.firstSchema).map(({ name }) => name);
  // With what the registry has for this query, there may be nothing to propose.
  const proposal = toDeploy.length === 0 || isOneOf(proposed, toDeploy) ? proposed : null;
  return {
    name: source.name,
    verdict: decisive.verdict,
    index: decisive.index,
    cost: decisive.cost,
    message: `${describeVerdict({
      ...{
        decisive,
        generic: genericVerdict,
        profiles: judged,
        serving,
        missing,
        minRows: session.minRows ?? DEFAULT_MIN_ROWS,
        proposal,
        toDeploy,
      },
    })}${describeRetired(session.retired, source.name)}`,
    proposal,
    ...{ file: source.file, line: source.line, servedBy: serving },
    generic: { verdict: genericVerdict.verdict, index: genericVerdict.index, cost: genericVerdict.cost },
    profiles: judged.map(({ profile, verdict, index, cost }, at) => ({
      ...{ profile: profile.name, verdict, index, cost },
      ...(analyzed[at] !== undefined && { actual: analyzed[at] }),
    })),
    tables: decisive.tables,
  };
}

function isOneOf(proposal: Proposal | null, entries: readonly string[]): boolean {
  return proposal?.registered === true && entries.includes(proposal.entry.name);
}

interface PlannedProfile {
  readonly profile: Profile;
  readonly values: readonly ParameterValue[];
  readonly plan: PlanNode;
}

/** The plans for all profiles that have a value for each parameter. */
async function plansWithValues(
  query: PreparedQuery,
  { parameters, profiles }: QuerySource,
): Promise<PlannedProfile[]> {
  const planned: PlannedProfile[] = [];
  for (const profile of profiles) {
    const values = profile.values.filter((value) => value !== undefined);
    if (values.length < query.parameterTypes.length || profile.values.length < query.parameterTypes.length)
      continue;
    for (const [at, value] of values.entries()) {
      const type = query.parameterTypes[at] ?? 'text';
      if (await isValueOf(query.client, type, value)) continue;
      throw new ValueProblem(
        `The value of parameter ${parameters[at] ?? `$${at + 1}`} is not a valid ${type}. Correct it in the comment of the query, or in --param.`,
      );
    }
    planned.push({ profile, values, plan: await planWithValues(query, values) });
  }
  return planned;
}

/** The parameters that have a value in no profile. */
function missingValues({ parameters, profiles }: QuerySource): string[] {
  return parameters.filter((_, at) => profiles.every(({ values }) => values[at] === undefined));
}

async function readFactsOf(client: Client, plans: readonly PlanNode[]): Promise<Map<string, TableFacts>> {
  const tables = plans.flatMap(scansOf).map(({ schema, table }) => ({ schema, table }));
  const unique = new Map(tables.map((one) => [askedKey(one.schema, one.table), one]));
  return await readTableFacts(client, [...unique.values()]);
}

async function readRootsOf(client: Client, plans: readonly PlanNode[]): Promise<Map<string, string>> {
  const indexes = plans
    .flatMap(scansOf)
    .flatMap(({ schema, indexes: names }) => names.map((name) => ({ schema, name })));
  return indexes.length === 0 ? new Map() : await readRootIndexes(client, indexes);
}

async function analyzeAll(
  query: PreparedQuery,
  { judged, timeoutMs }: { source: QuerySource; judged: readonly PlannedProfile[]; timeoutMs: number },
): Promise<{ rows: number; ms: number }[]> {
  const results = [];
  for (const { values } of judged) {
    const plan = await analyzeQuery(query, values, timeoutMs);
    results.push({ rows: plan['Actual Rows'] ?? 0, ms: plan['Actual Total Time'] ?? 0 });
  }
  return results;
}

/** Tables with fewer rows get no proposal: reading all of them is as fast. */
const LEAST_ROWS = 200;

async function proposalFor(
  session: Session,
  {
    query,
    source,
    facts,
    decisive,
  }: {
    query: PreparedQuery;
    source: QuerySource;
    facts: ReadonlyMap<string, TableFacts>;
    decisive: PlanVerdict & { readonly values: readonly ParameterValue[] | null; readonly plan: PlanNode };
  },
): Promise<Proposal | null> {
  return await propose(query, {
    ...{ facts, costs: session.costs, extensions: session.extensions, registry: session.registry },
    ...{ firstSchema: session.firstSchema, tenantColumn: session.tenantColumn, leastRows: LEAST_ROWS },
    serves: source.file === null ? null : source.name,
    title: source.file === null ? 'Describe what uses this index.' : `Serves the query ${source.name}`,
    ...{ values: decisive.values, plan: decisive.plan },
  });
}
