import type { IndexFacts, TableFacts } from '../../../lambdas/postgres/table-facts.ts';
import { conjuncts, parseExpression } from './conditions.ts';
import { columnKey, conditionId, type IndexKey, idOfKeyText, keyOf } from './index-key.ts';
import type { Predicate } from './predicates.ts';
import type { OrderKey, TableShape } from './query-shape.ts';

/** A key column of an index with its order. */
export interface CandidateKey extends IndexKey {
  readonly descending: boolean;
  readonly nullsFirst: boolean;
  readonly opclass: string | null;
}

/** An index that may help a query. */
export interface Candidate {
  readonly method: 'btree' | 'gin' | 'gist';
  readonly keys: readonly CandidateKey[];
  readonly include: readonly string[];
  /** The conditions of WHERE. Empty: the index is not partial. */
  readonly where: readonly Predicate[];
}

/** What a query asks of a table, read with the facts of the table. */
export interface TableNeeds {
  readonly shape: TableShape;
  readonly facts: TableFacts;
  readonly predicates: readonly Predicate[];
  readonly order: readonly CandidateKey[];
  /** Column that holds the tenant. Null: the tables have no tenants. */
  readonly tenantColumn: string | null;
  /** Estimated part of the table's rows that a predicate leaves. */
  readonly selectivity: (predicate: Predicate) => number;
}

const MOST_KEYS = 3;

/** The keys of ORDER BY, or none if the table alone does not decide them. */
export function orderKeys(order: readonly OrderKey[], alias: string, facts: TableFacts): CandidateKey[] {
  const keys = order.map(({ expression, descending, nullsFirst }) => {
    const key = keyOf(expression, alias, facts);
    return key === null ? null : { ...key, descending, nullsFirst, opclass: null };
  });
  return keys.every((key) => key !== null) ? keys : [];
}

/** The indexes that may help, the simplest first. */
export function candidatesFor(needs: TableNeeds): Candidate[] {
  const shapes = keyLists(needs).flatMap((keys) =>
    wherePossible(needs, keys).map((where): Candidate => ({ method: 'btree', keys, include: [], where })),
  );
  return unique([...shapes, ...searchCandidates(needs)]);
}

/**
 * The same index with the columns that make an index-only scan possible. Those that the query compares or groups by become keys, which
 * serve more queries than columns of INCLUDE do. Null: they are many, or wide, or there are none.
 */
export function withIncluded(
  candidate: Candidate,
  { shape, facts, predicates }: TableNeeds,
): Candidate | null {
  if (candidate.method !== 'btree' || shape.columns === null) return null;
  const keys = new Set(candidate.keys.map(({ column }) => column));
  const missing = shape.columns.filter((column) => !keys.has(column));
  const columns = facts.columns.filter(({ name }) => missing.includes(name));
  const width = columns.reduce((sum, one) => sum + one.width, 0);
  if (missing.length === 0 || columns.length !== missing.length || columns.length > 3 || width > 64)
    return null;
  const compared = predicates.flatMap(({ kind, key }) =>
    kind === 'equal' && key?.column != null && missing.includes(key.column) ? [plainKey(key)] : [],
  );
  // A B-tree stores equal keys once, and returns them together.
  const grouped = missing
    .filter((column) => shape.grouped.includes(column))
    .flatMap((column) => columnKey(column, facts) ?? [])
    .map(plainKey);
  const added = [...new Map([...compared, ...grouped].map((key) => [key.id, key])).values()]
    .filter((key) => isSortable(key, facts))
    .slice(0, MOST_KEYS - candidate.keys.length);
  const stored = columns.map(({ name }) => name);
  return {
    ...candidate,
    keys: [...candidate.keys, ...added],
    include: stored.filter((name) => !added.some(({ column }) => column === name)),
  };
}

function unique(candidates: readonly Candidate[]): Candidate[] {
  return [...new Map(candidates.map((one) => [candidateId(one), one])).values()];
}

export function candidateId({ method, keys, include, where }: Candidate): string {
  return JSON.stringify([
    method,
    keys.map(({ id, descending, nullsFirst, opclass }) => [id, descending, nullsFirst, opclass]),
    include,
    where.map(({ constantSql }) => constantSql),
  ]);
}

function keyLists(needs: TableNeeds): CandidateKey[][] {
  const { predicates, facts } = needs;
  const equal = distinctKeys(predicates.filter(({ kind }) => kind === 'equal' || kind === 'in'))
    .toSorted((one, two) => rankOf(one, needs) - rankOf(two, needs))
    .slice(0, 5);
  const ranges = distinctKeys(predicates.filter(({ kind }) => kind === 'range' || kind === 'prefix'));
  const order = needs.order;
  const lists: CandidateKey[][] = [];
  for (const set of orders(subsets(equal).toSorted((one, two) => one.length - two.length))) {
    const keys = set.map(({ key }) => plainKey(key));
    lists.push(keys);
    for (const { key, kind } of ranges) {
      const ordered = order.find(({ id }) => id === key.id);
      lists.push([...keys, kind === 'prefix' ? prefixKey(key, facts) : (ordered ?? plainKey(key))]);
    }
    const rest = order.filter(({ id }) => !keys.some((key) => key.id === id));
    for (let length = 1; length <= rest.length; length += 1) lists.push([...keys, ...rest.slice(0, length)]);
  }
  const short = lists.filter(({ length }) => length > 0 && length <= MOST_KEYS);
  return short.filter((keys) => keys.every((key) => isSortable(key, facts)));
}

function isSortable({ column }: CandidateKey, facts: TableFacts): boolean {
  return column === null || facts.columns.find(({ name }) => name === column)?.sortable === true;
}

/** The tenant comes first, then what leaves the fewest rows; lists of values come last, because they break the order of what follows. */
function rankOf({ key, kind, predicate }: KeyedPredicate, { tenantColumn, selectivity }: TableNeeds): number {
  if (key.column !== null && key.column === tenantColumn) return kind === 'equal' ? -1 : 9;
  return (kind === 'in' ? 10 : 0) + selectivity(predicate);
}

interface KeyedPredicate {
  readonly key: IndexKey;
  readonly kind: Predicate['kind'];
  readonly predicate: Predicate;
}

function distinctKeys(predicates: readonly Predicate[]): KeyedPredicate[] {
  const found = new Map<string, KeyedPredicate>();
  for (const predicate of predicates) {
    const { key, kind } = predicate;
    if (key !== null && !found.has(key.id)) found.set(key.id, { key, kind, predicate });
  }
  return [...found.values()];
}

/** Each list as it is, and with what other tables are compared with at the end, so that the index also serves without the join. */
function orders(lists: readonly KeyedPredicate[][]): KeyedPredicate[][] {
  return lists.flatMap((list) => {
    const isJoined = ({ predicate }: KeyedPredicate) => predicate.joined;
    const last = [...list.filter((one) => !isJoined(one)), ...list.filter(isJoined)];
    return last.every((one, at) => one === list[at]) ? [list] : [list, last];
  });
}

function subsets<T>(items: readonly T[]): T[][] {
  const sets: T[][] = [[]];
  for (const item of items) sets.push(...sets.map((set) => [...set, item]));
  return sets;
}

function plainKey(key: IndexKey): CandidateKey {
  return { ...key, descending: false, nullsFirst: false, opclass: null };
}

/** Whether LIKE 'x%' can use an ordinary index of this key. An expression has the default collation. */
export function isSortedByBytes(key: IndexKey, { columns }: TableFacts): boolean {
  const column =
    columns.find(({ name }) => name === key.column) ?? columns.find(({ category }) => category === 'S');
  return column?.sortsByBytes === true;
}

/** In a collation that does not sort by bytes, LIKE 'x%' needs another operator class. */
function prefixKey(key: IndexKey, facts: TableFacts): CandidateKey {
  const column = facts.columns.find(({ name }) => name === key.column);
  const type = column?.baseType === 'character varying' ? 'varchar_pattern_ops' : 'text_pattern_ops';
  return { ...plainKey(key), opclass: isSortedByBytes(key, facts) ? null : type };
}

/** The largest part of the rows that a partial index may contain. */
const MOST_OF_TABLE = 0.5;

/** The predicates of partial indexes with these keys: none, each constant condition, or all of them. */
function wherePossible(
  { predicates, selectivity, facts }: TableNeeds,
  keys: readonly CandidateKey[],
): Predicate[][] {
  const inKeys = new Set(keys.map(({ id }) => id));
  const constant = predicates.filter(
    (one) =>
      one.constantSql !== null &&
      isStable(one, facts) &&
      !(one.kind === 'equal' && one.key !== null && inKeys.has(one.key.id)) &&
      (one.kind === 'equal' || one.kind === 'in' || one.nullTest !== null) &&
      selectivity(one) <= MOST_OF_TABLE,
  );
  const lists = [[], ...constant.map((one) => [one])];
  return constant.length > 1 ? [...lists, constant] : lists;
}

/** A constant that is one of few values says something about the application. One of many is a value of the moment. */
function isStable({ key, kind, nullTest }: Predicate, facts: TableFacts): boolean {
  if (nullTest !== null) return true;
  const column = facts.columns.find(({ name }) => name === key?.column);
  if (kind !== 'equal' && kind !== 'in') return false;
  const distinct = column?.distinct ?? null;
  return distinct !== null && distinct > 0 && distinct <= 50;
}

function searchCandidates({ predicates }: TableNeeds): Candidate[] {
  return predicates.flatMap(({ search, key }): Candidate[] =>
    search === null || key === null
      ? []
      : [
          {
            method: search.method,
            keys: [{ ...plainKey(key), opclass: search.opclass }],
            include: [],
            where: [],
          },
        ],
  );
}

/** An existing index as a candidate. Null: its predicate does not follow from the conditions. */
export function existingCandidate(index: IndexFacts, needs: TableNeeds): Candidate | null {
  const { facts, predicates } = needs;
  if (index.method !== 'btree') return null;
  const where = wherePredicates(index, predicates);
  if (where === null) return null;
  const keys = index.keys.map(({ column, text, descending, nullsFirst, opclass }): CandidateKey => {
    const width = facts.columns.find(({ name }) => name === column)?.width ?? 16;
    return {
      id: idOfKeyText(column === null ? text : quotedColumn(column), facts),
      column,
      sql: text,
      node: {} as never,
      width,
      descending,
      nullsFirst,
      opclass,
    };
  });
  return { method: 'btree', keys, include: [...index.include], where };
}

function quotedColumn(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** The conditions of the query that the predicate of an index consists of. Null: it contains others. */
export function wherePredicates(index: IndexFacts, predicates: readonly Predicate[]): Predicate[] | null {
  if (index.where === null) return [];
  const node = parseExpression(index.where);
  if (node === null) return null;
  const found = conjuncts(node).map((one) =>
    predicates.find(({ constantSql, id }) => constantSql !== null && id === conditionId(one)),
  );
  return found.every((one) => one !== undefined) ? found : null;
}

/** Whether an index has the keys of a candidate as its first ones, so that it already serves. */
export function covers(existing: Candidate, candidate: Candidate): boolean {
  if (existing.method !== candidate.method || existing.keys.length < candidate.keys.length) return false;
  const isWhereSame = existing.where.every((one) =>
    candidate.where.some(({ constantSql }) => constantSql === one.constantSql),
  );
  return isWhereSame && candidate.keys.every((key, at) => isSameKey(key, existing.keys[at]));
}

/** Whether a candidate has the keys of an index as its first ones, so that it can replace it. */
export function extendsIndex(candidate: Candidate, existing: Candidate): boolean {
  return (
    existing.method === candidate.method &&
    existing.keys.length < candidate.keys.length &&
    existing.where.length === candidate.where.length &&
    covers({ ...existing, keys: candidate.keys }, candidate) &&
    existing.keys.every((key, at) => isSameKey(key, candidate.keys[at]))
  );
}

function isSameKey(one: CandidateKey, other: CandidateKey | undefined): boolean {
  return one.id === other?.id && one.opclass === other.opclass;
}
