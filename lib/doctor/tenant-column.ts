import { tableKey } from '../../lambdas/postgres/identifiers.ts';
import type { LiveDatabase } from './live-database.ts';

/** Names that the column for the tenant of a row usually has, the clearest first. */
const NAMES = [
  'tenant_id',
  'organization_id',
  'organisation_id',
  'org_id',
  'workspace_id',
  'account_id',
  'company_id',
  'tenant_uuid',
  'tenantId',
  'organizationId',
  'orgId',
  'workspaceId',
  'accountId',
  'companyId',
];

/** The names that mean nothing else. */
const CLEAR = new Set(['tenant_id', 'tenant_uuid', 'tenantId']);

/** Tables with the column, or indexes that start with it, from which on another name is believed. */
const LEAST_EVIDENCE = 3;

export interface TenantColumn {
  readonly name: string;
  /** It was given, or its name means nothing else. */
  readonly certain: boolean;
}

/**
 * The column that holds the tenant of a row. Null: the database has none.
 * @param given null: the database has none. Undefined: it is found by the names of columns
 */
export function tenantColumnOf(live: LiveDatabase, given: string | null | undefined): TenantColumn | null {
  if (given === null) return null;
  if (given !== undefined) return { name: given, certain: true };
  const tables = live.tables.filter(({ partition, kind }) => !partition && kind !== 'materialized view');
  const evidence = NAMES.map((name) => {
    const having = tables.filter(({ columns }) => columns.includes(name));
    const keys = new Set(having.map(tableKey));
    const leading = live.indexes.filter(
      (index) => index.keys[0] === name && index.keys.length > 1 && keys.has(tableKey(index)),
    );
    return { name, tables: having.length, evidence: having.length + leading.length };
  });
  const clear = evidence.find(({ name, tables: count }) => CLEAR.has(name) && count > 0);
  if (clear !== undefined) return { name: clear.name, certain: true };
  const [best] = evidence
    .filter((one) => one.tables > 1 && one.evidence >= LEAST_EVIDENCE)
    .toSorted((one, other) => other.evidence - one.evidence);
  return best === undefined ? null : { name: best.name, certain: false };
}
