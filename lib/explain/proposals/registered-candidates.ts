import type { IndexElem } from 'libpg-query';
import type { TableFacts } from '../../../lambdas/postgres/table-facts.ts';
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
  return entries
    .filter((entry) => isOnTable(entry, needs.facts, firstSchema))
    .flatMap((entry) => {
      const candidate = candidateOf(entry, needs);
      return candidate === null ? [] : [{ entry, candidate, built: isBuilt(entry, needs.facts) }];
    });
}

/** The entries whose tables are among these, and whose indexes the database does not have. */
export function entriesToDeploy(
  entries: readonly RegistryEntry[],
  tables: readonly TableFacts[],
  firstSchema: string | null,
): RegistryEntry[] {
  return entries.filter((entry) =>
    tables.some((facts) => isOnTable(entry, facts, firstSchema) && !isBuilt(entry, facts)),
  );
}

function isOnTable(entry: RegistryEntry, { schema, table }: TableFacts, firstSchema: string | null): boolean {
  return entry.table === table && (entry.schema ?? firstSchema ?? 'public') === schema;
}

/** A constraint gives its name to the index. */
function isBuilt({ name, constraint }: RegistryEntry, { indexes }: TableFacts): boolean {
  return indexes.some((index) => index.name === name || index.name === constraint?.name);
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
