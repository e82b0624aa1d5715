import type { Query } from '../target.ts';
import type { ChaosEntry } from '../world/entries.ts';
import { type Violation, violationIf } from './violation.ts';

/** An index with everything that hangs on it. */
export interface FoundIndex {
  readonly id: string;
  readonly oid: number;
  /** As pg_get_indexdef shows it. */
  readonly definition: string;
  readonly valid: boolean;
  /** The parent of an attached index. */
  readonly parent: string | null;
  readonly replicaIdentity: boolean;
  readonly clustered: boolean;
  readonly comment: string | null;
  /** Statistics targets of its expressions, by column number. */
  readonly statistics: string | null;
  readonly options: readonly string[] | null;
  /** Constraints that use it, foreign keys included. */
  readonly constraints: readonly string[];
}

export type Indexes = ReadonlyMap<string, FoundIndex>;

/** All indexes of the application's schemas, by NAME, or SCHEMA.NAME outside of public. */
export async function readIndexes(query: Query): Promise<Indexes> {
  const rows = await query<FoundIndex>(
    `select case when n.nspname = 'public' then '' else n.nspname || '.' end || c.relname as id,
            c.oid::int8::float8 as oid,
            pg_get_indexdef(c.oid) as definition,
            i.indisvalid and i.indisready and i.indislive as valid,
            (select inhparent::regclass::text from pg_inherits where inhrelid = c.oid) as parent,
            i.indisreplident as "replicaIdentity",
            i.indisclustered as clustered,
            obj_description(c.oid, 'pg_class') as comment,
            (select string_agg(attnum || ':' || attstattarget, ',' order by attnum) from pg_attribute
              where attrelid = c.oid and attstattarget >= 0) as statistics,
            c.reloptions as options,
            array(select conname::text from pg_constraint where conindid = c.oid order by 1) as constraints
       from pg_index i
       join pg_class c on c.oid = i.indexrelid
       join pg_namespace n on n.oid = c.relnamespace
      where n.nspname in ('public', 'shop')
      order by 1`,
  );
  return new Map(rows.map((row) => [row.id, row]));
}

export function idOf({ schema, name }: Pick<ChaosEntry, 'schema' | 'name'>): string {
  return schema === 'public' ? name : `${schema}.${name}`;
}

/** Each index of the registry is as an undisturbed run must leave it. @param reference the same of a clean build */
export function checkRegistry(
  entries: readonly ChaosEntry[],
  { before, after, reference }: { before: Indexes; after: Indexes; reference: Indexes },
): Violation[] {
  const wrong = entries.flatMap((entry) => {
    const id = idOf(entry);
    const [was, found, clean] = [before.get(id), after.get(id), reference.get(id)];
    const problem = problemOf(entry, { was, found, clean });
    return problem === null ? [] : [{ index: id, problem, found: found?.definition ?? null }];
  });
  return violationIf('Each index of the registry is valid and has the definition of a clean build.', wrong);
}

function problemOf(
  { expected }: ChaosEntry,
  { was, found, clean }: Record<'was' | 'found' | 'clean', FoundIndex | undefined>,
): string | null {
  switch (expected.kind) {
    case 'failed':
      return found === undefined ? null : 'cannot be built, but exists';
    case 'equivalent':
      return found === undefined ? null : 'was built beside an index with the same definition';
    case 'drifted':
      return found?.oid === was?.oid ? null : 'was replaced without onDrift: "rebuild"';
    case 'valid':
      if (found === undefined) return 'does not exist';
      if (!found.valid) return 'is invalid';
      return found.definition === clean?.definition ? null : `differs from ${clean?.definition}`;
  }
}

/**
 * No index is lost, replaced or changed.
 * @param expectedNames indexes that must still exist
 * @param replaced indexes that the chaos itself has rebuilt: their oid can differ
 */
export function checkKept(
  { before, after }: { before: Indexes; after: Indexes },
  expectedNames: readonly string[],
  replaced: ReadonlySet<string>,
): Violation[] {
  const changed = expectedNames.flatMap((id): unknown[] => {
    const [was, is] = [before.get(id), after.get(id)];
    if (was === undefined) return [];
    if (is === undefined) return [{ index: id, lost: was }];
    const oid = replaced.has(id) ? was.oid : is.oid;
    return JSON.stringify({ ...is, oid }) === JSON.stringify(was) ? [] : [{ index: id, was, is }];
  });
  return violationIf('An index that was valid is neither lost, nor replaced, nor changed.', changed);
}

/** A replacement has everything that hung on the index before: what another session set is not in the registry. */
export function checkCarriedOver(
  { before, after }: { before: Indexes; after: Indexes },
  rebuilt: readonly string[],
): Violation[] {
  const lost = rebuilt.flatMap((id): unknown[] => {
    const [was, is] = [before.get(id), after.get(id)];
    if (was === undefined || is === undefined) return [];
    return JSON.stringify(propertiesOf(was)) === JSON.stringify(propertiesOf(is))
      ? []
      : [{ index: id, was, is }];
  });
  return violationIf('What hangs on an index hangs on its replacement too.', lost);
}

function propertiesOf({ replicaIdentity, clustered, comment, statistics, options }: FoundIndex): unknown {
  return { replicaIdentity, clustered, comment, statistics, options };
}

/** The index of a partitioned table has a valid index attached in each partition. */
export async function checkPartitions(query: Query): Promise<Violation[]> {
  const incomplete = await query(
    `select i.indexrelid::regclass::text as index, t.inhrelid::regclass::text as partition
       from pg_index i
       join pg_class c on c.oid = i.indexrelid and c.relkind = 'I'
       join pg_inherits t on t.inhparent = i.indrelid
      where not exists (select from pg_inherits a join pg_index p on p.indexrelid = a.inhrelid
                         where a.inhparent = i.indexrelid and p.indrelid = t.inhrelid and p.indisvalid)`,
  );
  return violationIf(
    'An index of a partitioned table has a valid index attached in each partition.',
    incomplete,
  );
}
