import { withHypotheticalIndex } from '../../../lambdas/postgres/hypothetical-index.ts';
import { quotedTable } from '../../../lambdas/postgres/identifiers.ts';
import {
  type ParameterValue,
  type PlanNode,
  type PreparedQuery,
  planGenerically,
  planWithoutIndexes,
  planWithValues,
  scanOfTable,
} from '../../../lambdas/postgres/plan-query.ts';
import { askedKey, type PlannerCosts, type TableFacts } from '../../../lambdas/postgres/table-facts.ts';
import type { RegistryEntry } from '../../../lambdas/shared/registry.ts';
import type { IndexEntry } from '../../registry/define-indexes.ts';
import { nodesOf } from '../plan-scans.ts';
import {
  type Candidate,
  candidateId,
  candidatesFor,
  covers,
  existingCandidate,
  extendsIndex,
  orderKeys,
  type TableNeeds,
  withIncluded,
} from './candidates.ts';
import { costWithIndex, costWithoutIndex, type Model, type RowFraction } from './cost-model.ts';
import { isImmutable } from './immutable.ts';
import { type Extensions, type Predicate, predicatesOf } from './predicates.ts';
import {
  definitionOf,
  entryOf,
  entryOfRegistry,
  indexName,
  type ProposedColumn,
  proposedColumns,
  whereOf,
} from './proposal-entry.ts';
import { shapesOf, type TableShape } from './query-shape.ts';
import { type RegisteredCandidate, registeredCandidates } from './registered-candidates.ts';

/** An index that would help a query. */
export interface Proposal {
  /** The entry of the registry: to paste, or the one to build. */
  readonly entry: IndexEntry;
  /** TABLE, or SCHEMA.TABLE if the schema is not public. */
  readonly table: string;
  readonly columns: readonly ProposedColumn[];
  readonly method: string;
  readonly where: string | null;
  readonly include: readonly string[];
  /** Whether PostgreSQL has planned the query with it, as a hypothetical index. */
  readonly tried: boolean;
  /** The cost of the plan with it. Null: it was not tried. */
  readonly costAfter: number | null;
  /** The cost of the plan without it. */
  readonly costBefore: number;
  /** Name of the entry that it replaces. Null: it is a new entry. */
  readonly widens: string | null;
  /** The registry has this entry, and this database has not its index. */
  readonly registered: boolean;
}

/** What a proposal depends on, beside the query. */
export interface ProposalContext {
  readonly facts: ReadonlyMap<string, TableFacts>;
  readonly costs: PlannerCosts;
  readonly extensions: Extensions;
  readonly registry: readonly RegistryEntry[];
  readonly firstSchema: string | null;
  readonly tenantColumn: string | null;
  /** The name of the query in the registry. Null: it has none. */
  readonly serves: string | null;
  /** How the description of an entry calls the query. */
  readonly title: string;
  /** Values of the parameters. Null: they are unknown, and generic plans are compared. */
  readonly values: readonly ParameterValue[] | null;
  /** The plan of today, with these values or generic. */
  readonly plan: PlanNode;
  /** Tables smaller than this are not looked at. */
  readonly leastRows: number;
}

interface Option {
  readonly candidate: Candidate;
  readonly needs: TableNeeds;
  readonly registered: RegisteredCandidate | null;
  readonly cost: number;
  /** Cost without any new index, as computed in the same way. */
  readonly before: number;
  readonly tried: boolean;
}

/** A new index must lower the cost at least to this part. */
const WITHOUT_USED_INDEX = 0.8;
/** The same where an index is used already. */
const WITH_USED_INDEX = 0.5;

/** Finds the index that helps a query most. Null: none would, or an existing one serves. */
export async function propose(query: PreparedQuery, context: ProposalContext): Promise<Proposal | null> {
  const shapes = shapesOf(await planWithoutIndexes(query), context.facts);
  const scans = shapes.flatMap((shape) => {
    const facts = context.facts.get(askedKey(shape.schema, shape.table));
    return facts === undefined || facts.rows < context.leastRows ? [] : [{ shape, facts, context }];
  });
  const options: Option[] = [];
  for (const ofTable of Map.groupBy(scans, ({ facts }) => facts.oid).values()) {
    // Each partition of a table has a scan of its own.
    const isPartitioned = ofTable[0]?.facts.partitioned === true;
    options.push(...(await bestForTable(query, isPartitioned ? ofTable.slice(0, 1) : ofTable)));
  }
  const best = options.toSorted((one, two) => two.before - two.cost - (one.before - one.cost))[0];
  return best === undefined ? null : proposalOf(best, context);
}

/** One scan of a table in the query. */
interface TableInput {
  readonly shape: TableShape;
  readonly facts: TableFacts;
  readonly context: ProposalContext;
}

/** A scan with what it needs, and what it costs today. */
interface ModelledScan {
  readonly needs: TableNeeds;
  readonly model: Model;
  /** The existing indexes that it can use. */
  readonly existing: readonly Candidate[];
  readonly registered: readonly RegisteredCandidate[];
  readonly before: number;
}

async function modelledScan(query: PreparedQuery, input: TableInput): Promise<ModelledScan> {
  const planner = askPlanner(query, input);
  const needs = await needsOf(input, planner.fraction);
  const existing = input.facts.indexes.flatMap((index) => existingCandidate(index, needs) ?? []);
  const model = { costs: input.context.costs, ...planner };
  const { registry, firstSchema } = input.context;
  const registered = registeredCandidates(registry, needs, firstSchema);
  return { needs, model, existing, registered, before: await modelledBefore(needs, existing, model) };
}

/** The best index for all scans of one table: a query can read it several times. */
async function bestForTable(query: PreparedQuery, inputs: readonly TableInput[]): Promise<Option[]> {
  const [first] = inputs;
  if (first === undefined) return [];
  const { facts, context } = first;
  const scans: ModelledScan[] = [];
  for (const input of inputs) scans.push(await modelledScan(query, input));
  const before = scans.reduce((sum, scan) => sum + scan.before, 0);
  const hypopg = facts.partitioned ? undefined : context.extensions.get('hypopg');
  const costBefore = context.plan['Total Cost'];

  const costOf = async (candidate: Candidate): Promise<Pick<Option, 'cost' | 'before' | 'tried'>> => {
    if (hypopg !== undefined && candidate.method === 'btree') {
      const cost = await triedCost(query, { hypopg, candidate, facts, context });
      if (cost !== null) return { cost, before: costBefore, tried: true };
    }
    let cost = 0;
    for (const scan of scans) cost += await modelledCost(candidate, scan);
    // On the same scale as the tried ones: the rest of the plan stays.
    return hypopg === undefined
      ? { cost, before, tried: false }
      : { cost: costBefore - before + cost, before: costBefore, tried: false };
  };

  const usable = new Map<string, Omit<Option, 'cost' | 'before' | 'tried'>>();
  for (const { needs, existing, registered } of scans) {
    const isNew = (candidate: Candidate) =>
      !usable.has(candidateId(candidate)) &&
      !existing.some((one) => covers(one, candidate)) &&
      !isCoveredSearch(candidate, facts);
    for (const candidate of candidatesFor(needs).filter(isNew)) {
      if (await isBuildable(candidate, facts, query))
        usable.set(candidateId(candidate), { candidate, needs, registered: null });
    }
    for (const one of registered) {
      const { candidate, built } = one;
      if (!built && !existing.some((other) => covers(other, candidate)))
        usable.set(one.entry.name, { candidate, needs, registered: one });
    }
  }
  const options: Option[] = [];
  for (const one of usable.values()) options.push({ ...one, ...(await costOf(one.candidate)) });
  const existing = scans.flatMap((scan) => scan.existing);
  const registered = scans.flatMap((scan) => scan.registered);
  const best = choose(options, existing, registered);
  if (best === undefined) return [];
  const covering = await coveringOption(best, options, costOf);
  const chosen = covering ?? best;
  const isUsed = usesIndex(context.plan, facts);
  // An index that only stores more columns than a used one is no reason for another index.
  const cost = isUsed ? best.cost : chosen.cost;
  const isWorth = cost < chosen.before * (isUsed ? WITH_USED_INDEX : WITHOUT_USED_INDEX);
  return isWorth ? [chosen] : [];
}

/** The cost of a scan with an index that it may use. */
async function modelledCost(candidate: Candidate, { needs, model, before }: ModelledScan): Promise<number> {
  const where = candidate.where.map(({ id }) => needs.predicates.find((one) => one.id === id));
  if (!where.every((one) => one !== undefined)) return before;
  return Math.min(before, await costWithIndex({ ...candidate, where }, needs, model));
}

/** The cheapest option with all columns of the query, if it is much cheaper than the best one without. */
async function coveringOption(
  best: Option,
  options: readonly Option[],
  costOf: (candidate: Candidate) => Promise<Pick<Option, 'cost' | 'before' | 'tried'>>,
): Promise<Option | null> {
  // Nothing is known about an expression before ANALYZE, so its cost is no reason to store more.
  if (best.registered !== null || best.candidate.keys.some(({ column }) => column === null)) return null;
  let found: Option | null = null;
  const plain = options
    .filter(({ registered }) => registered === null)
    .toSorted((one, two) => one.cost - two.cost);
  for (const option of [best, ...plain.slice(0, 4)]) {
    const candidate = withIncluded(option.candidate, option.needs);
    if (candidate === null) continue;
    const covering = { ...option, candidate, ...(await costOf(candidate)) };
    const isSmall = candidate.keys.length + candidate.include.length <= 2;
    if (!isSmall && best.cost < CHEAP) continue;
    const needed = found === null ? (isSmall ? CLOSE : MUCH_CHEAPER) : CLOSE;
    if (covering.cost < (found ?? best).cost * needed) found = covering;
  }
  return found;
}

const MUCH_CHEAPER = 0.7;
/** A plan with this cost needs no wider index. */
const CHEAP = 40;
/** Costs that differ by less are equal. */
const CLOSE = 0.99;

/**
 * The cheapest index of one or two columns; of those that are about as cheap, the one that fits best to what exists. A third
 * column or a predicate must lower the cost much further, because such an index serves fewer queries.
 */
function choose(
  options: readonly Option[],
  existing: readonly Candidate[],
  registered: readonly RegisteredCandidate[],
): Option | undefined {
  const least = Math.min(...options.map(({ cost }) => cost));
  const ofRegistry = options.find(({ registered: one, cost }) => one !== null && cost <= least * 1.05 + 0.02);
  if (ofRegistry !== undefined) return ofRegistry;
  const rank = (option: Option) => rankOf(option, existing, registered);
  const best = (some: readonly Option[]) => {
    const cheapest = Math.min(...some.map(({ cost }) => cost));
    const close = some.filter(({ cost }) => cost * CLOSE <= cheapest + 0.02);
    return close.toSorted((one, two) => compareRanks(rank(one), rank(two)))[0];
  };
  const own = options.filter((one) => one.registered === null);
  const isPlain = ({ candidate }: Option) => candidate.where.length === 0 && candidate.keys.length <= 2;
  let chosen = best(own.filter(isPlain));
  for (const group of [
    own.filter(({ candidate }) => candidate.where.length === 0 && candidate.keys.length > 2),
    own.filter(({ candidate }) => candidate.where.length > 0),
  ]) {
    const other = best(
      group.filter((one) => chosen === undefined || one.cost <= chosen.cost * neededPart(one)),
    );
    chosen = other ?? chosen;
  }
  return chosen;
}

/** To what part of the cost an index with a third column or a predicate must lower it. */
function neededPart({ candidate, needs }: Option): number {
  if (candidate.where.length === 0) return 0.9;
  const rows = Math.max(...candidate.where.map((one) => needs.selectivity(one)));
  if (rows <= RARE) return 1 / CLOSE;
  return rows <= 0.2 ? 0.85 : 0.5;
}

function compareRanks(one: readonly number[], two: readonly number[]): number {
  const at = one.findIndex((value, index) => value !== two[index]);
  return at === -1 ? 0 : (one[at] ?? 0) - (two[at] ?? 0);
}

/** Lower is better, the first number that differs decides. */
function rankOf(
  { candidate, needs }: Option,
  existing: readonly Candidate[],
  registered: readonly RegisteredCandidate[],
): number[] {
  const { tenantColumn, predicates } = needs;
  const asksForTenant = predicates.some(
    ({ kind, key }) => kind === 'equal' && key !== null && key.column === tenantColumn,
  );
  const isTenantFirst = candidate.keys[0]?.column === tenantColumn;
  const widens = [...registered.map((one) => one.candidate), ...existing].some((one) =>
    extendsIndex(candidate, one),
  );
  return [
    asksForTenant && !isTenantFirst && candidate.method === 'btree' ? 1 : 0,
    widens ? 0 : 1,
    candidate.where.length > 0 ? (isRare(candidate, needs) ? 0 : 2) : 1,
    candidate.keys.length,
  ];
}

const RARE = 0.1;

function isRare({ where }: Candidate, { selectivity }: TableNeeds): boolean {
  return where.every((one) => selectivity(one) <= RARE);
}

function isCoveredSearch(candidate: Candidate, { indexes }: TableFacts): boolean {
  if (candidate.method === 'btree') return false;
  const [key] = candidate.keys;
  return indexes.some(
    ({ method, keys, where }) =>
      method === candidate.method &&
      where === null &&
      keys.some((one) => one.column !== null && one.column === key?.column),
  );
}

/** Wide keys do not fit in a page of a B-tree. */
const WIDEST_KEY = 500;

async function isBuildable(
  { keys, method }: Candidate,
  facts: TableFacts,
  query: PreparedQuery,
): Promise<boolean> {
  if (method === 'btree' && keys.some(({ width }) => width > WIDEST_KEY)) return false;
  for (const key of keys) if (!(await isImmutable(key, facts, query))) return false;
  return true;
}

function usesIndex(plan: PlanNode, { table, indexes }: TableFacts): boolean {
  const names = new Set(indexes.map(({ name }) => name));
  return [...nodesOf(plan)].some(
    ({ 'Index Name': index, 'Relation Name': relation }) =>
      index !== undefined && (relation === table || names.has(index)),
  );
}

async function modelledBefore(
  needs: TableNeeds,
  existing: readonly Candidate[],
  model: Model,
): Promise<number> {
  const costs = [await costWithoutIndex(needs, model)];
  for (const one of existing) costs.push(await costWithIndex(one, needs, model));
  return Math.min(...costs);
}

async function triedCost(
  query: PreparedQuery,
  {
    hypopg,
    candidate,
    facts,
    context,
  }: { hypopg: string; candidate: Candidate; facts: TableFacts; context: ProposalContext },
): Promise<number | null> {
  const statement = `create index on ${quotedTable(facts)} ${definitionOf(candidate)}`;
  return await withHypotheticalIndex(query.client, { schema: hypopg, statement }, async () => {
    const plan =
      context.values === null ? await planGenerically(query) : await planWithValues(query, context.values);
    return plan['Total Cost'];
  });
}

async function needsOf({ shape, facts, context }: TableInput, fraction: RowFraction): Promise<TableNeeds> {
  const predicates = predicatesOf(shape, facts, context.extensions, context.values ?? []);
  const selectivities = new Map<Predicate, number>();
  for (const one of predicates) selectivities.set(one, await fraction([one]));
  return {
    ...{ shape, facts, predicates, order: orderKeys(shape.order, shape.alias, facts) },
    tenantColumn: context.tenantColumn,
    selectivity: (one) => selectivities.get(one) ?? 1,
  };
}

/** Asks the planner what reading the table without indexes costs, and how many rows conditions leave. */
function askPlanner(
  query: PreparedQuery,
  { shape, facts, context }: TableInput,
): Pick<Model, 'fraction' | 'scan'> {
  const known = new Map<string, { rows: number; cost: number }>();
  const from = `${quotedTable(facts)} as "${shape.alias.replaceAll('"', '""')}"`;
  const values = context.values;
  const ask = async (predicates: readonly Predicate[]) => {
    const sql = predicates.flatMap((one) => conditionSql(one, shape.alias, facts) ?? []);
    const conditions = [...new Set(sql)].toSorted();
    const key = JSON.stringify(conditions);
    const before = known.get(key);
    if (before !== undefined) return before;
    const found = await scanOfTable(query, { from, conditions, values }).catch(() => null);
    const answer = found ?? { rows: facts.rows * 0.1, cost: facts.pages * context.costs.seqPage };
    known.set(key, answer);
    return answer;
  };
  return {
    fraction: async (predicates) => {
      if (predicates.length === 0) return 1;
      return Math.min(1, (await ask(predicates)).rows / Math.max(1, (await ask([])).rows));
    },
    scan: async (predicates) => (await ask(predicates)).cost,
  };
}

/** A condition for the planner. A value of another table is unknown, like the result of a subquery. */
function conditionSql(
  { sql, external, key, kind }: Predicate,
  alias: string,
  facts: TableFacts,
): string | null {
  if (!external) return sql;
  if (key === null || (kind !== 'equal' && kind !== 'range')) return null;
  const own = key.column === null ? null : facts.columns.find(({ name }) => name === key.column);
  if (!own) return null;
  const column = `"${alias.replaceAll('"', '""')}"."${own.name.replaceAll('"', '""')}"`;
  return `${column} ${kind === 'equal' ? '=' : '>'} (select null::${own.type} offset 0)`;
}

function proposalOf(
  { candidate, needs, cost, tried, registered }: Option,
  context: ProposalContext,
): Proposal {
  const { facts } = needs;
  const entries = registeredCandidates(context.registry, needs, context.firstSchema);
  const widened = entries.find(
    ({ entry, candidate: one }) =>
      !entry.unique &&
      entry.constraint === undefined &&
      entry.schemas === undefined &&
      extendsIndex(candidate, one),
  );
  const served = context.serves === null ? [] : [context.serves];
  const names = new Set([
    ...facts.indexes.map(({ name }) => name),
    ...context.registry.map(({ name }) => name),
  ]);
  const replaced = registered?.entry ?? widened?.entry;
  const serves = [...new Set([...(replaced?.serves ?? []), ...served])];
  const entry = entryOf(candidate, {
    name: replaced?.name ?? indexName(candidate, facts, names),
    ...{ facts, firstSchema: context.firstSchema, serves },
    description: replaced?.description ?? context.title,
  });
  return {
    entry:
      registered !== null
        ? entryOfRegistry(registered.entry, { facts, firstSchema: context.firstSchema, serves })
        : // The index of the entry exists with fewer columns: the deploy replaces it only if the entry says so.
          widened === undefined
          ? entry
          : { ...entry, onDrift: 'rebuild' },
    table: facts.schema === 'public' ? facts.table : `${facts.schema}.${facts.table}`,
    columns: proposedColumns(candidate),
    method: candidate.method,
    where: whereOf(candidate),
    include: candidate.include,
    tried,
    costAfter: tried ? cost : null,
    costBefore: context.plan['Total Cost'],
    widens: registered === null ? (widened?.entry.name ?? null) : null,
    registered: registered !== null,
  };
}
