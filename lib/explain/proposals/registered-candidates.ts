import type { IndexElem } from 'libpg-query';
import type { RegistryEntry } from '../../../lambdas/shared/registry.ts';
import { parseSql } from '../../sql/parser.ts';
import type { Candidate, CandidateKey, TableNeeds } from './candidates.ts';
import { conjuncts } from './conditions.ts';
import { conditionId, keyOfDefinition } from './index-key.ts';

/** An entry of the registry for a table, as a candidate. */
export interface RegisteredCandidate {
  readonly entry: RegistryEntry;
  readonly candidate: Candidate;
  /** An index with its name exists in the database. */
  readonly built: boolean;
}

/** The entries for the table that this query can use. An entry that names a column which the table has not is left out. */
export function registeredCandidates(
  entries: readonly RegistryEntry[],
  needs: TableNeeds,
  firstSchema: string | null,
): RegisteredCandidate[] {
  const { schema, table, indexes } = needs.facts;
  return entries
    .filter((entry) => entry.table === table && (entry.schema ?? firstSchema ?? 'public') === schema)
    .flatMap((entry) => {
      const candidate = candidateOf(entry, needs);
      const built = indexes.some(({ name }) => name === entry.name);
      return candidate === null ? [] : [{ entry, candidate, built }];
    });
}

function candidateOf({ definition, table }: RegistryEntry, needs: TableNeeds): Candidate | null {
  const [statement] = parseSql(`create index on "${table.replaceAll('"', '""')}" ${definition}`);
  const index = statement?.node.IndexStmt;
  const method = index?.accessMethod ?? 'btree';
  if (index === undefined || (method !== 'btree' && method !== 'gin' && method !== 'gist')) return null;
  const keys = elementsOf(index.indexParams).map((element) => keyOfElement(element, needs));
  const include = elementsOf(index.indexIncludingParams).flatMap(({ name }) => name ?? []);
  const conditions = index.whereClause === undefined ? [] : conjuncts(index.whereClause);
  const where = conditions.map((one) =>
    needs.predicates.find(({ constantSql, id }) => constantSql !== null && id === conditionId(one)),
  );
  const known = keys.every((key) => key !== null) && where.every((one) => one !== undefined);
  return known ? { method, keys, include, where } : null;
}

function elementsOf(nodes: readonly object[] | undefined): IndexElem[] {
  return (nodes ?? []).flatMap((node) => ('IndexElem' in node ? [node.IndexElem as IndexElem] : []));
}

function keyOfElement(element: IndexElem, { facts }: TableNeeds): CandidateKey | null {
  const node =
    element.expr ??
    (element.name === undefined ? null : { ColumnRef: { fields: [{ String: { sval: element.name } }] } });
  const key = node === null ? null : keyOfDefinition(node, facts);
  if (key === null) return null;
  const descending = element.ordering === 'SORTBY_DESC';
  const nulls = element.nulls_ordering;
  const nullsFirst = nulls === 'SORTBY_NULLS_FIRST' || (nulls !== 'SORTBY_NULLS_LAST' && descending);
  const [opclass] = (element.opclass ?? [])
    .flatMap((one) => ('String' in one ? [one.String.sval ?? ''] : []))
    .slice(-1);
  return { ...key, descending, nullsFirst, opclass: opclass ?? null };
}
