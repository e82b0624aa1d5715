import type { TableFacts } from '../../../lambdas/postgres/table-facts.ts';
import type { RegistryEntry } from '../../../lambdas/shared/registry.ts';
import type { IndexEntry } from '../../registry/define-indexes.ts';
import { freeName } from '../../registry/free-name.ts';
import { quoteTableWhereNeeded, quoteWhereNeeded } from '../../sql/quote-where-needed.ts';
import type { Candidate, CandidateKey } from './candidates.ts';

/** A key column of a proposal: a column or an expression. */
export interface ProposedColumn {
  readonly column?: string;
  readonly expression?: string;
  readonly direction: 'asc' | 'desc';
  /** Only where it is not the default of the direction. */
  readonly nulls?: 'first' | 'last';
  readonly opclass?: string;
}

/** The part of CREATE INDEX from USING on. */
export function definitionOf({ method, keys, include, where }: Candidate): string {
  const columns = keys.map((key) => keyText(key, method)).join(', ');
  const included = include.length === 0 ? '' : ` include (${include.map(quoteWhereNeeded).join(', ')})`;
  const conditions = where.flatMap(({ constantSql }) => constantSql ?? []);
  const predicate =
    conditions.length > 1 ? conditions.map((one) => `(${one})`).join(' and ') : conditions.join('');
  const using = method === 'btree' ? '' : `using ${method} `;
  return `${using}(${columns})${included}${predicate === '' ? '' : ` where ${predicate}`}`;
}

/** The predicate of the index. Null: it is not partial. */
export function whereOf({ where }: Candidate): string | null {
  const conditions = where.flatMap(({ constantSql }) => constantSql ?? []);
  if (conditions.length === 0) return null;
  return conditions.length === 1
    ? (conditions[0] ?? null)
    : conditions.map((one) => `(${one})`).join(' and ');
}

function keyText({ sql, descending, nullsFirst, opclass }: CandidateKey, method: string): string {
  const withClass = opclass === null ? sql : `${sql} ${opclass}`;
  if (method !== 'btree') return withClass;
  const nulls = nullsFirst === descending ? '' : ` nulls ${nullsFirst ? 'first' : 'last'}`;
  return `${withClass}${descending ? ' desc' : ''}${nulls}`;
}

/** The key columns for programs. */
export function proposedColumns({ keys }: Candidate): ProposedColumn[] {
  return keys.map(({ column, sql, descending, nullsFirst, opclass }) => ({
    ...(column === null ? { expression: sql } : { column }),
    direction: descending ? 'desc' : 'asc',
    ...(nullsFirst === descending ? {} : { nulls: nullsFirst ? 'first' : 'last' }),
    ...(opclass === null ? {} : { opclass }),
  }));
}

/** A name for a new index that no index of the table has. */
export function indexName(
  { keys, where, include }: Candidate,
  { table }: TableFacts,
  taken: ReadonlySet<string>,
): string {
  const words = keys.map(
    ({ column, sql }) => column ?? /[a-z_]\w*/i.exec(sql.replaceAll("'", ''))?.[0] ?? 'expression',
  );
  const text = [
    'idx',
    table,
    ...words,
    ...(where.length > 0 ? ['partial'] : []),
    ...(include.length > 0 ? ['covering'] : []),
  ];
  return freeName(text.join('_').replaceAll(/\W+/g, '_').toLowerCase(), taken);
}

interface EntryOf {
  readonly name: string;
  readonly facts: TableFacts;
  readonly firstSchema: string | null;
  readonly description: string;
  readonly serves: readonly string[];
}

/** An entry of the registry as it is there, which also serves the query. */
export function entryOfRegistry(
  { name, unique, definition, critical, description, onDrift, schemas, constraint }: RegistryEntry,
  { facts, firstSchema, serves }: Pick<EntryOf, 'facts' | 'firstSchema' | 'serves'>,
): IndexEntry {
  const table =
    schemas === undefined
      ? quoteTableWhereNeeded({ schema: facts.schema, name: facts.table }, firstSchema)
      : quoteWhereNeeded(facts.table);
  return {
    name,
    sql: `create ${unique ? 'unique ' : ''}index concurrently if not exists ${quoteWhereNeeded(name)} on ${table} ${definition}`,
    ...(critical && { critical }),
    description,
    ...(serves.length > 0 && { serves }),
    ...(onDrift === 'rebuild' && { onDrift }),
    ...(schemas !== undefined && { schemas }),
    ...(constraint !== undefined && { constraint: { name: constraint.name, type: constraint.type } }),
  };
}

/** The finished entry of the registry for a candidate. */
export function entryOf(
  candidate: Candidate,
  { name, facts, firstSchema, description, serves }: EntryOf,
): IndexEntry {
  const table = quoteTableWhereNeeded({ schema: facts.schema, name: facts.table }, firstSchema);
  return {
    name,
    sql: `create index concurrently if not exists ${quoteWhereNeeded(name)} on ${table} ${definitionOf(candidate)}`,
    description,
    ...(serves.length > 0 && { serves }),
  };
}
