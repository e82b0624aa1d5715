import type { PlannerCosts } from '../../../lambdas/postgres/table-facts.ts';
import { type Candidate, isSortedByBytes, type TableNeeds } from './candidates.ts';
import type { Predicate } from './predicates.ts';

/*
 * What a scan would cost, computed as PostgreSQL's planner does it (costsize.c, selfuncs.c), for servers on which no index can be
 * tried. How many rows a condition leaves is asked of the planner itself.
 */

/** Part of the table's rows that remain with all of these conditions. */
export type RowFraction = (predicates: readonly Predicate[]) => Promise<number>;

/** What the planner knows. */
export interface Model {
  readonly costs: PlannerCosts;
  readonly fraction: RowFraction;
  /** The cost of reading the table without an index, and without workers. Of a partitioned table only some partitions are read. */
  readonly scan: (predicates: readonly Predicate[]) => Promise<number>;
}

const PAGE = 8192;

/** The cost of reading the table without any index, and sorting what is read. */
export async function costWithoutIndex(
  needs: TableNeeds,
  { costs, fraction, scan: scanCost }: Model,
): Promise<number> {
  const { facts, predicates, order, shape } = needs;
  const local = predicates.filter(({ external }) => !external);
  const rows = facts.rows * (await fraction(local));
  const serial = await scanCost(local);
  const workers = facts.pages * PAGE < 8_388_608 || shape.limited ? 0 : Math.min(costs.workers, 2);
  const divisor = workers + Math.max(0, 1 - 0.3 * workers);
  const pages = Math.min(serial, facts.pages * costs.seqPage);
  const parallel = pages + (serial - pages) / divisor + 1000 + rows * 0.1;
  // A subquery is run for each row of the outer query.
  const loops = loopsOf(
    predicates.filter(({ external, sql, joined }) => external && !joined && sql === null),
    needs,
  );
  const scan = loops * (workers === 0 || loops > 1 ? serial : Math.min(serial, parallel));
  const isStopped = shape.limited && order.length === 0 && shape.limit !== null && rows > 0;
  if (isStopped) return scan * Math.min(1, (shape.limit ?? rows) / rows);
  return scan + sortCost(rows, order.length === 0 ? 0 : 1, shape.limited ? shape.limit : null, costs);
}

function sortCost(rows: number, keys: number, limit: number | null, { operator }: PlannerCosts): number {
  if (keys === 0 || rows < 2) return 0;
  const bound = limit !== null && limit * 2 < rows ? 2 * limit : rows;
  return rows * 2 * operator * Math.log2(Math.max(2, bound)) + operator * rows;
}

/**
 * The cost of reading the table with an index, and sorting what is read if the index has another order. A join can search the index
 * for each row of the other table, or read once what the other conditions leave.
 */
export async function costWithIndex(candidate: Candidate, needs: TableNeeds, model: Model): Promise<number> {
  if (candidate.method !== 'btree') return await costOfSearch(candidate, needs, model);
  const searched = await costOfScan(candidate, needs, model);
  const alone = needs.predicates.filter(({ joined }) => !joined);
  if (alone.length === needs.predicates.length) return searched;
  return Math.min(searched, await costOfScan(candidate, { ...needs, predicates: alone }, model));
}

async function costOfScan(candidate: Candidate, needs: TableNeeds, model: Model): Promise<number> {
  const { facts, predicates, order, shape } = needs;
  const { costs, fraction } = model;
  const use = usedConditions(candidate, needs);
  const inIndex = await fraction(candidate.where);
  const boundary = await fraction([...candidate.where, ...use.boundary]);
  const matched = await fraction([...candidate.where, ...use.all]);
  const local = await fraction(predicates.filter(({ joined }) => !joined));
  // A subquery is run for each row of the outer query, whether or not the index has its column.
  const loops = loopsOf([...use.all, ...predicates.filter(({ joined }) => !joined)], needs);
  // Conditions of joins are not in the result of the table alone.
  const remaining =
    facts.rows * (use.all.some(({ external }) => external) ? Math.min(local, matched) : local);

  const entries = Math.max(1, facts.rows * inIndex);
  const pages = indexPages(candidate, entries, facts.rows);
  const scanned = Math.max(1, facts.rows * boundary);
  const scannedPages = Math.max(1, Math.ceil((scanned * pages) / entries));
  const searches = use.lists;
  const height = Math.max(0, Math.ceil(Math.log(pages) / Math.log(300)));
  const descent =
    searches * (Math.ceil(Math.log2(entries)) * costs.operator + (height + 1) * 50 * costs.operator);
  const index =
    Math.max(scannedPages, Math.min(searches, pages)) * costs.randomPage +
    scanned * (costs.indexTuple + use.all.length * costs.operator) +
    descent;

  const tuples = Math.max(1, facts.rows * matched);
  const only = isIndexOnly(candidate, needs);
  const onlyFactor = only ? 1 - facts.allVisible : 1;
  const correlation = correlationOf(candidate, needs);
  const most = pagesFetched(tuples * loops, facts.pages, costs.cache) / loops;
  const least = Math.max(1, Math.ceil(matched * facts.pages));
  const mostCost = most * onlyFactor * costs.randomPage;
  const leastCost =
    onlyFactor === 0
      ? 0
      : (costs.randomPage + (least - 1) * costs.seqPage) *
        (loops > 1 ? Math.min(1, most / least) : 1) *
        onlyFactor;
  const rest = predicates.length - use.all.length - candidate.where.length;
  const cpu = tuples * (costs.tuple + Math.max(0, rest) * costs.operator);
  const plain = index + mostCost + correlation ** 2 * (leastCost - mostCost) + cpu;

  const isSorted = providesOrder(candidate, use, needs);
  if (isSorted && shape.limited && shape.limit !== null && remaining > 0) {
    return loops * (descent + (plain - descent) * Math.min(1, shape.limit / remaining));
  }
  const bitmapPages = Math.min(facts.pages, (2 * facts.pages * tuples) / (2 * facts.pages + tuples));
  const perPage =
    costs.randomPage - (costs.randomPage - costs.seqPage) * Math.sqrt(bitmapPages / Math.max(1, facts.pages));
  const bitmap =
    only || (use.all.length === 0 && candidate.where.length === 0)
      ? Number.POSITIVE_INFINITY
      : index + 0.1 * costs.operator * tuples + bitmapPages * perPage + cpu + tuples * costs.operator;
  const sort = isSorted ? 0 : sortCost(remaining, order.length, shape.limited ? shape.limit : null, costs);
  const bitmapSort = sortCost(remaining, order.length, shape.limited ? shape.limit : null, costs);
  return loops * Math.min(plain + sort, bitmap + bitmapSort);
}

/** How often the index is read: once for each row of the table that it is joined with. */
function loopsOf(used: readonly Predicate[], { shape }: TableNeeds): number {
  const others = used.flatMap(({ external, other }) => (external && other !== null ? [other] : []));
  return Math.max(1, ...others.map((alias) => shape.outerRows.get(alias) ?? 1));
}

interface UsedConditions {
  /** Those that limit the part of the index that is read. */
  readonly boundary: readonly Predicate[];
  /** All that can be checked in the index. */
  readonly all: readonly Predicate[];
  /** Number of searches, because of lists of values. */
  readonly lists: number;
  /** A list of values breaks the order of the keys after it. */
  readonly breaksOrder: boolean;
  /** The number of the first keys that are compared with one value. */
  readonly equalKeys: number;
}

function usedConditions({ keys, where }: Candidate, { predicates, facts }: TableNeeds): UsedConditions {
  const inWhere = new Set(where.map(({ constantSql }) => constantSql));
  const usable = predicates.filter(({ constantSql }) => constantSql === null || !inWhere.has(constantSql));
  const boundary: Predicate[] = [];
  const all: Predicate[] = [];
  let lists = 1;
  let breaksOrder = false;
  let equalKeys = 0;
  let isOpen = true;
  for (const key of keys) {
    const own = usable.filter(
      (one) => one.key?.id === key.id && one.kind !== 'other' && one.kind !== 'search',
    );
    const sortsByBytes = isSortedByBytes(key, facts);
    const fitting = own.filter(({ kind }) =>
      kind === 'prefix' ? key.opclass !== null || sortsByBytes : kind !== 'range' || key.opclass === null,
    );
    all.push(...fitting);
    if (!isOpen) continue;
    const equal = fitting.find(({ kind }) => kind === 'equal');
    const list = fitting.find(({ kind }) => kind === 'in');
    if (equal !== undefined) {
      boundary.push(equal);
      equalKeys += 1;
    } else if (list !== undefined) {
      const isCounted = list.rows !== null && boundary.some(({ rows }) => rows === list.rows);
      boundary.push(list);
      if (!isCounted) lists *= 5;
      breaksOrder = true;
    } else {
      boundary.push(...fitting);
      isOpen = false;
    }
  }
  return { boundary, all, lists, breaksOrder, equalKeys };
}

/** Whether the index returns the rows in the wanted order. Keys that have one value do not matter. */
function providesOrder(
  { keys, where }: Candidate,
  use: UsedConditions,
  { order, predicates }: TableNeeds,
): boolean {
  if (order.length === 0) return true;
  if (use.breaksOrder) return false;
  const fixed = new Set(
    // The planner does not know that rows with IS NULL have one value.
    [...predicates, ...where].flatMap(({ kind, key, joined, nullTest }) =>
      kind === 'equal' && key && !joined && nullTest === null ? [key.id] : [],
    ),
  );
  const wanted = order.filter(({ id }) => !fixed.has(id));
  const offered = keys.filter(({ id }) => !fixed.has(id));
  if (offered.length < wanted.length) return false;
  const isForward = wanted.every((key, at) => {
    const other = offered[at];
    return other?.id === key.id && other.descending === key.descending && other.nullsFirst === key.nullsFirst;
  });
  const isBackward = wanted.every((key, at) => {
    const other = offered[at];
    return other?.id === key.id && other.descending !== key.descending && other.nullsFirst !== key.nullsFirst;
  });
  return isForward || isBackward;
}

function isIndexOnly({ keys, include }: Candidate, { shape }: TableNeeds): boolean {
  if (shape.columns === null) return false;
  const stored = new Set([...include, ...keys.flatMap(({ column }) => column ?? [])]);
  return shape.columns.every((column) => stored.has(column));
}

/** As btcostestimate: that of the first key, less for the others. */
function correlationOf({ keys }: Candidate, { facts }: TableNeeds): number {
  const [first] = keys;
  const correlation = facts.columns.find(({ name }) => name === first?.column)?.correlation ?? 0;
  return keys.length > 1 ? correlation * 0.75 : correlation;
}

/** Pages of a B-tree. Equal entries are stored once, with a list of their rows. */
function indexPages({ keys, include }: Candidate, entries: number, rows: number): number {
  const width = keys.reduce((sum, key) => sum + key.width, 0) + include.length * 12;
  const entry = 8 * Math.ceil((width + 8) / 8) + 4;
  return Math.max(1, Math.ceil((Math.min(entries, rows) * entry) / (PAGE * 0.9)));
}

/** Mackert and Lohman's formula for the pages that single rows are read from. */
function pagesFetched(tuples: number, pages: number, cache: number): number {
  const total = Math.max(1, pages);
  if (total <= cache) return Math.min(total, Math.ceil((2 * total * tuples) / (2 * total + tuples)));
  const limit = (2 * total * cache) / (2 * total - cache);
  if (tuples <= limit) return (2 * total * tuples) / (2 * total + tuples);
  return cache + ((tuples - limit) * (total - cache)) / total;
}

/** The cost of a bitmap scan of an inverted index. */
async function costOfSearch(
  { keys }: Candidate,
  needs: TableNeeds,
  { costs, fraction }: Model,
): Promise<number> {
  const { facts, predicates, order, shape } = needs;
  const own = predicates.filter(({ kind, key }) => kind === 'search' && key?.id === keys[0]?.id);
  const matched = await fraction(own);
  const tuples = Math.max(1, facts.rows * matched);
  const remaining = facts.rows * (await fraction(predicates.filter(({ external }) => !external)));
  const pages = Math.min(facts.pages, (2 * facts.pages * tuples) / (2 * facts.pages + tuples));
  const perPage =
    costs.randomPage - (costs.randomPage - costs.seqPage) * Math.sqrt(pages / Math.max(1, facts.pages));
  const index = 6 * costs.randomPage + tuples * costs.operator * 2;
  const cpu = tuples * (costs.tuple + predicates.length * costs.operator);
  return (
    index +
    pages * perPage +
    cpu +
    sortCost(remaining, order.length, shape.limited ? shape.limit : null, costs)
  );
}
