import type { Verdict } from '../../lambdas/shared/query-verdicts.ts';
import type { ExplainedQuery } from './explain-queries.ts';
import type { ReadTable } from './verdict.ts';

/** What a verdict means for a pipeline. */
export const POLICIES = ['off', 'warn', 'fail'] as const;
export type Policy = (typeof POLICIES)[number];

/** The verdicts that have a policy. `index` is what is wanted, and `error` always fails. */
export const GATED = ['seq-scan', 'other-index', 'not-provable', 'too-small'] as const;
export type GatedVerdict = (typeof GATED)[number];

/** The policy of a verdict for some tables. */
interface PolicyOfTables {
  /** TABLE or SCHEMA.TABLE. */
  readonly tables: readonly string[];
  readonly policy: Policy;
}

/** Policies by verdict: one for all tables, or some for parts of them, of which the first that matches applies. */
export type Policies = Readonly<Record<string, Policy | readonly PolicyOfTables[]>>;

const DEFAULTS: Readonly<Record<GatedVerdict, Policy>> = {
  'seq-scan': 'warn',
  'other-index': 'warn',
  'not-provable': 'warn',
  'too-small': 'off',
};

export interface GateOptions {
  readonly policies: Policies;
  /** Verdicts that fail unless their table has a policy of its own. */
  readonly failOn: readonly GatedVerdict[];
  readonly baseline: Baseline | null;
}

/** A query with what it means for the pipeline. */
export interface GatedQuery extends ExplainedQuery {
  readonly policy: Policy;
  /** The baseline accepts this plan. */
  readonly accepted: boolean;
}

export function gate(queries: readonly ExplainedQuery[], options: GateOptions): GatedQuery[] {
  return queries.map((query) => {
    const accepted = options.baseline !== null && isAccepted(query, options.baseline);
    return { ...query, accepted, policy: accepted ? 'off' : policyOf(query, options) };
  });
}

function policyOf({ verdict, tables }: ExplainedQuery, options: GateOptions): Policy {
  if (verdict === 'error') return 'fail';
  if (verdict === 'index') return 'off';
  const concerned =
    verdict === 'seq-scan' || verdict === 'not-provable'
      ? tables.filter(({ scan }) => scan === 'seq')
      : tables;
  const policies = concerned.map((table) => policyOfTable(verdict, table, options));
  const [strictest] = policies.toSorted((one, two) => POLICIES.indexOf(two) - POLICIES.indexOf(one));
  return strictest ?? generalPolicy(verdict, options);
}

function policyOfTable(verdict: GatedVerdict, { schema, table }: ReadTable, options: GateOptions): Policy {
  const configured = options.policies[verdict];
  const own =
    configured === undefined || typeof configured === 'string'
      ? undefined
      : configured.find(({ tables }) =>
          tables.some((name) => name === `${schema}.${table}` || name === table),
        )?.policy;
  return own ?? generalPolicy(verdict, options);
}

function generalPolicy(verdict: GatedVerdict, { policies, failOn }: GateOptions): Policy {
  if (failOn.includes(verdict)) return 'fail';
  const configured = policies[verdict];
  return typeof configured === 'string' ? configured : DEFAULTS[verdict];
}

/** The plans that are accepted: by the name of the query, its verdict and the tables that it reads as a whole. */
export interface Baseline {
  readonly version: 1;
  readonly queries: Readonly<
    Record<string, { readonly verdict: Verdict; readonly tables: readonly string[] }>
  >;
}

/** The baseline that accepts these plans. */
export function baselineOf(queries: readonly ExplainedQuery[]): Baseline {
  const accepted = queries.filter(({ verdict }) => verdict !== 'index' && verdict !== 'error');
  return {
    version: 1,
    queries: Object.fromEntries(
      accepted.map((query) => [query.name, { verdict: query.verdict, tables: scannedTables(query) }]),
    ),
  };
}

function isAccepted(query: ExplainedQuery, { queries }: Baseline): boolean {
  const accepted = Object.hasOwn(queries, query.name) ? queries[query.name] : undefined;
  return (
    accepted?.verdict === query.verdict &&
    scannedTables(query).every((table) => accepted.tables.includes(table))
  );
}

function scannedTables({ tables }: ExplainedQuery): string[] {
  const scanned = tables
    .filter(({ scan }) => scan === 'seq')
    .map(({ schema, table }) => `${schema}.${table}`);
  return [...new Set(scanned)].toSorted();
}
