import { type CompiledIndex, indexId } from '../shared/registry.ts';
import type { Client } from './client.ts';
import { indexKey } from './identifiers.ts';

/*
 * What the catalog says about the constraint of an entry, read in one query for all entries. It locks no table: pg_get_indexdef
 * does, and pg_get_constraintdef of a unique constraint or a primary key does not.
 */

/** An index, as far as a constraint can use it. */
interface IndexOfTable {
  readonly valid: boolean;
  /** Uniqueness is checked immediately. False: the constraint is deferrable. */
  readonly immediate: boolean;
  /** A unique B-tree of all rows, on columns with their own collation, operator class and sort order. */
  readonly usable: boolean;
  /** Null: an expression. */
  readonly columns: readonly (string | null)[];
  readonly include: readonly string[];
  readonly nullsNotDistinct: boolean;
}

interface ConstraintOfTable {
  readonly name: string;
  /** As in pg_constraint: p, u, c, f, … */
  readonly type: string;
  /** As in its statement: `UNIQUE (email)`. Null for the types without an index. */
  readonly definition: string | null;
  /** Null: the type has none. */
  readonly index: IndexOfTable | null;
}

/** The relation that has a name which the entry uses. */
interface NamedRelation {
  readonly name: string;
  /** Table of the index. Null: it is not an index. */
  readonly indexOf: { readonly schema: string; readonly name: string } | null;
  /** The index, if it belongs to the table of the entry. */
  readonly index: IndexOfTable | null;
}

/** The table of an entry. */
export interface TableConstraints {
  /** As in pg_class: r, p, m, … */
  readonly kind: string;
  /** Key columns of the entry in which NULL is allowed. `unvalidated`: the NOT NULL constraint that is NOT VALID (from 18 on). */
  readonly nullable: readonly { readonly column: string; readonly unvalidated: string | null }[];
  /** Its primary key, its unique constraints, and any other constraint that has the name of the entry's. */
  readonly constraints: readonly ConstraintOfTable[];
  /** Those with the name of the entry's index or of its constraint. */
  readonly relations: readonly NamedRelation[];
}

/** An entry that has a constraint. */
export type ConstraintEntry = CompiledIndex & Required<Pick<CompiledIndex, 'constraint'>>;

export function hasConstraint(index: CompiledIndex): index is ConstraintEntry {
  return index.constraint !== undefined;
}

/** Reads the tables of entries, by `indexKey`. Entries whose table does not exist are omitted. */
export async function readTableConstraints(
  client: Client,
  entries: readonly ConstraintEntry[],
): Promise<Map<string, TableConstraints>> {
  if (entries.length === 0) return new Map();
  const wanted = entries.map((entry) => ({
    key: indexKey(entry),
    ...{ schema: entry.schema, table: entry.table, index: entry.name },
    ...{ constraint: entry.constraint.name, columns: entry.constraint.columns },
  }));
  const { rows } = await client.query<TableConstraints & { key: string }>(READ, [JSON.stringify(wanted)]);
  return new Map(rows.map(({ key, ...table }) => [key, table]));
}

/** The index `i`, as an `IndexOfTable`. */
const INDEX = `
  json_build_object(
    'valid', i.indisvalid and i.indislive,
    'immediate', i.indimmediate,
    'usable', i.indisunique and i.indexprs is null and i.indpred is null
      and exists (select from pg_class ic join pg_am am on am.oid = ic.relam and am.amname = 'btree' where ic.oid = i.indexrelid)
      and not exists (
        select from generate_series(0, i.indnkeyatts - 1) k
          join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k]
          join pg_opclass o on o.oid = i.indclass[k]
         where i.indoption[k] <> 0 or i.indcollation[k] <> a.attcollation or not o.opcdefault),
    'columns', (
      select json_agg(a.attname order by k) from generate_series(0, i.indnkeyatts - 1) k
        left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k]),
    'include', (
      select coalesce(json_agg(a.attname order by k), '[]') from generate_series(i.indnkeyatts, i.indnatts - 1) k
        join pg_attribute a on a.attrelid = i.indrelid and a.attnum = i.indkey[k]),
    -- From version 15 on.
    'nullsNotDistinct', coalesce((to_jsonb(i) ->> 'indnullsnotdistinct')::boolean, false))`;

const READ = `
  select w.key,
         t.relkind::text as kind,
         (select coalesce(json_agg(json_build_object('column', a.attname, 'unvalidated', nn.conname) order by a.attnum), '[]')
            from pg_attribute a
            -- From version 18 on, a NOT NULL constraint can be NOT VALID. The column is marked all the same.
            left join pg_constraint nn on nn.conrelid = t.oid and nn.contype = 'n' and nn.conkey = array[a.attnum] and not nn.convalidated
           where a.attrelid = t.oid and a.attnum > 0 and not a.attisdropped
             and (not a.attnotnull or nn.oid is not null)
             and w.columns ? a.attname) as nullable,
         (select coalesce(json_agg(json_build_object(
                   'name', con.conname,
                   'type', con.contype,
                   'definition', case when con.contype in ('p', 'u') then pg_get_constraintdef(con.oid) end,
                   'index', case when i.indexrelid is not null then ${INDEX} end) order by con.conname), '[]')
            from pg_constraint con
            left join pg_index i on i.indexrelid = con.conindid and con.contype in ('p', 'u', 'x')
           where con.conrelid = t.oid and (con.contype in ('p', 'u') or con.conname = w."constraint")) as constraints,
         (select coalesce(json_agg(json_build_object(
                   'name', c.relname,
                   'indexOf', case when it.oid is not null then json_build_object('schema', itn.nspname, 'name', it.relname) end,
                   'index', case when i.indrelid = t.oid then ${INDEX} end)), '[]')
            from pg_class c
            left join pg_index i on i.indexrelid = c.oid
            left join pg_class it on it.oid = i.indrelid
            left join pg_namespace itn on itn.oid = it.relnamespace
           where c.relnamespace = n.oid and c.relname in (w.index, w."constraint")) as relations
    from jsonb_to_recordset($1::jsonb)
           as w (key text, schema text, "table" text, index name, "constraint" name, columns jsonb)
    join pg_namespace n on n.nspname = w.schema
    join pg_class t on t.relnamespace = n.oid and t.relname = w."table"`;

/** Describes a relation that has the name of a constraint. */
export function describeRelation({ indexOf }: NamedRelation): string {
  return indexOf === null ? 'a relation that is not an index' : `an index of table ${indexId(indexOf)}`;
}
