import { indexId, tableId } from '../shared/registry.ts';
import { listed } from '../shared/text.ts';
import type { Client } from './client.ts';
import type { Named } from './identifiers.ts';
import { DATABASE_TABLESPACE, TABLESPACE } from './index-definition.ts';

/*
 * What the catalog stores about an index beside its definition, and what depends on it. A replacement can get the
 * properties. Anything else that pg_depend knows, also of kinds that do not exist yet, keeps an index from being replaced.
 */

/** Why an index cannot be replaced. */
export interface Obstacle {
  /** The predicate of a sentence whose subject is the index: `backs a constraint`. */
  reason: string;
  /** What to do, in the imperative. */
  fix: string;
}

/** Why an index cannot be built at all. */
export interface NotBuildable {
  readonly sqlstate: string;
  readonly message: string;
  /** A migration can change it. @default false */
  readonly isMigratable?: boolean;
}

export interface IndexProperties {
  oid: string;
  schema: string;
  table: string;
  /** Name of the index. */
  name: string;
  valid: boolean;
  /** It is an index of a partitioned table, which has no storage of its own. */
  partitioned: boolean;
  /** It is attached to the index of a partitioned table. */
  attached: boolean;
  method: string;
  /** The table's REPLICA IDENTITY. */
  replicaIdentity: boolean;
  /** The table was clustered on it. */
  clustered: boolean;
  comment: string | null;
  /** Storage options, as in pg_class: `fillfactor=70`. */
  options: string[];
  tablespace: string;
  /** A new index would be in this tablespace too, unless its definition names another one. */
  inDefaultTablespace: boolean;
  /** The role may create indexes in its tablespace. */
  tablespaceAllowed: boolean;
  /** Extensions that it DEPENDS ON: dropping one drops it. */
  extensions: string[];
  /** The columns that are expressions. `target` null: the default statistics target. */
  expressions: { column: number; expression: string; target: number | null }[];
  obstacles: Obstacle[];
}

/**
 * Reads the properties of an index. Undefined: no index has the name.
 * @throws lock_not_available when another session has locked its table exclusively and lock_timeout is set
 */
export async function readProperties(client: Client, index: Named): Promise<IndexProperties | undefined> {
  return (await readPropertiesOf(client, [index]))[0];
}

/** The same for many indexes, in two queries. Names that no index has are omitted. */
export async function readPropertiesOf(
  client: Client,
  indexes: readonly Named[],
): Promise<IndexProperties[]> {
  const { rows } = await client.query<Omit<IndexProperties, 'obstacles'>>(
    `select i.indexrelid::text as oid,
            n.nspname as schema,
            t.relname as "table",
            c.relname as name,
            i.indisvalid as valid,
            c.relkind = 'I' as partitioned,
            c.relispartition as attached,
            am.amname as method,
            i.indisreplident as "replicaIdentity",
            i.indisclustered as clustered,
            obj_description(c.oid, 'pg_class') as comment,
            coalesce(c.reloptions, '{}') as options,
            ${TABLESPACE} as tablespace,
            ${TABLESPACE} = coalesce(nullif(current_setting('default_tablespace'), ''), ${DATABASE_TABLESPACE})
              as "inDefaultTablespace",
            c.reltablespace = 0 or has_tablespace_privilege(c.reltablespace, 'create') as "tablespaceAllowed",
            array(select e.extname::text
                    from pg_depend d
                    join pg_extension e on e.oid = d.refobjid
                   where d.classid = 'pg_class'::regclass and d.objid = c.oid
                     and d.refclassid = 'pg_extension'::regclass and d.deptype = 'x'
                   order by 1) as extensions,
            (select coalesce(json_agg(json_build_object(
                      'column', a.attnum,
                      'expression', pg_get_indexdef(c.oid, a.attnum, false),
                      -- The default is -1 before version 17, and null from then on.
                      'target', nullif(a.attstattarget, -1)) order by a.attnum), '[]')
               from pg_attribute a
              where a.attrelid = c.oid and i.indkey[a.attnum - 1] = 0) as expressions
       from unnest($1::text[], $2::text[]) as wanted (schema, name)
       join pg_namespace n on n.nspname = wanted.schema
       join pg_class c on c.relnamespace = n.oid and c.relname = wanted.name
       join pg_index i on i.indexrelid = c.oid
       join pg_class t on t.oid = i.indrelid
       join pg_am am on am.oid = c.relam`,
    [indexes.map((index) => index.schema), indexes.map((index) => index.name)],
  );
  if (rows.length === 0) return [];
  const dependencies = await readDependencies(client, rows);
  return rows.map((row) => ({ ...row, obstacles: obstaclesOf(row, dependencies.get(row.oid) ?? []) }));
}

/** An object that depends on an index, or on which the index depends in a way that a replacement cannot. */
interface Dependency {
  kind: 'constraint' | 'foreign key' | 'partitioned' | 'attached' | 'extension' | 'other';
  schema: string | null;
  table: string | null;
  name: string;
}

/**
 * A row for each dependency. The index's own dependencies of the types n and a (on columns, functions, operators) belong to
 * its definition, and x (on an extension) is carried over. Foreign keys of partitions follow those of their parents.
 */
const DEPENDENCIES = `
  with constraints as (
    select con.conindid as index, con.oid, con.conname, con.contype, con.conrelid
      from pg_constraint con
     where con.conindid = any ($1::oid[])
  ), dependencies as (
    select d.refobjid as index, d.classid, d.objid, d.objsubid
      from pg_depend d
     where d.refclassid = 'pg_class'::regclass and d.refobjid = any ($1::oid[])
     union
    select d.objid, d.refclassid, d.refobjid, d.refobjsubid
      from pg_depend d
     where d.classid = 'pg_class'::regclass and d.objid = any ($1::oid[]) and d.deptype not in ('n', 'a', 'x')
       and not (d.deptype = 'S' and exists (select from pg_index i where i.indexrelid = d.objid and i.indrelid = d.refobjid))
     union
    select con.index, 'pg_constraint'::regclass, con.oid, 0 from constraints con
     union
    select h.inhparent, 'pg_class'::regclass, h.inhrelid, 0 from pg_inherits h where h.inhparent = any ($1::oid[])
     union
    select h.inhrelid, 'pg_class'::regclass, h.inhparent, 0 from pg_inherits h where h.inhrelid = any ($1::oid[])
  )
  select d.index::text as index,
         case when con.contype in ('p', 'u', 'x') then 'constraint'
              when con.contype = 'f' then 'foreign key'
              when parent.inhparent is not null then 'attached'
              when child.inhrelid is not null then 'partitioned'
              when d.classid = 'pg_extension'::regclass then 'extension'
              else 'other' end as kind,
         n.nspname as schema,
         t.relname as "table",
         case when con.oid is not null then con.conname
              when parent.inhparent is not null then c.relname
              when e.oid is not null then e.extname
              else pg_describe_object(d.classid, d.objid, d.objsubid) end as name
    from dependencies d
    left join pg_constraint con on d.classid = 'pg_constraint'::regclass and con.oid = d.objid
    left join pg_inherits parent
           on d.classid = 'pg_class'::regclass and parent.inhparent = d.objid and parent.inhrelid = d.index
    left join pg_inherits child
           on d.classid = 'pg_class'::regclass and child.inhrelid = d.objid and child.inhparent = d.index
    left join pg_class c on d.classid = 'pg_class'::regclass and c.oid = d.objid
    left join pg_index i on i.indexrelid = c.oid
    left join pg_extension e on d.classid = 'pg_extension'::regclass and e.oid = d.objid
    left join pg_class t on t.oid = coalesce(con.conrelid, i.indrelid)
    left join pg_namespace n on n.oid = t.relnamespace
   where not (con.oid is not null and con.conparentid <> 0
              and exists (select from constraints other where other.oid = con.conparentid and other.index = d.index))
   order by 1, 2, 3, 4, 5`;

/** Reads the dependencies of indexes, by the oid of the index. */
async function readDependencies(
  client: Client,
  indexes: readonly Pick<IndexProperties, 'oid'>[],
): Promise<Map<string, Dependency[]>> {
  const { rows } = await client.query<Dependency & { index: string }>(DEPENDENCIES, [
    indexes.map(({ oid }) => oid),
  ]);
  return Map.groupBy(rows, (row) => row.index);
}

function obstaclesOf(
  { partitioned }: Pick<IndexProperties, 'partitioned'>,
  rows: readonly Dependency[],
): Obstacle[] {
  const of = (kind: Dependency['kind']) => rows.filter((row) => row.kind === kind);
  const names = (dependencies: readonly Dependency[]) => listed(dependencies.map(describe), MOST_NAMES);
  const [constraints, foreignKeys, attached] = [of('constraint'), of('foreign key'), of('attached')];
  const obstacles: Obstacle[] = [];
  if (constraints.length > 0) {
    obstacles.push({
      reason: 'backs a constraint',
      fix: `change ${names(constraints)} in a migration`,
    });
  }
  if (foreignKeys.length > 0) {
    obstacles.push({
      reason: `is used by ${names(foreignKeys)}`,
      fix: 'drop the foreign key in a migration and add it again after the deploy',
    });
  }
  if (partitioned) {
    obstacles.push({ reason: 'is on a partitioned table', fix: 'change the index in a migration' });
  }
  if (attached.length > 0) {
    obstacles.push({
      reason: `is attached to ${names(attached)}`,
      fix: 'change that index, of which it is a part',
    });
  }
  if (of('extension').length > 0) {
    obstacles.push({
      reason: `belongs to ${names(of('extension'))}`,
      fix: 'change it in an update of the extension',
    });
  }
  if (of('other').length > 0) {
    obstacles.push({
      reason: `has a dependency that a replacement would lose (${names(of('other'))})`,
      fix: 'remove the dependency, or change the index in a migration',
    });
  }
  return obstacles;
}

const MOST_NAMES = 5;

function describe({ kind, schema, table, name }: Dependency): string {
  const on = schema === null || table === null ? '' : ` on table ${tableId({ schema, table })}`;
  if (kind === 'constraint') return `constraint ${name}${on}`;
  if (kind === 'foreign key') return `foreign key ${name}${on}`;
  if (kind === 'attached') return `index ${schema === null ? name : indexId({ schema, name })}${on}`;
  return kind === 'extension' ? `extension ${name}` : name;
}

/** Several obstacles as one. Null: none. */
export function joinObstacles(obstacles: readonly Obstacle[]): Obstacle | null {
  if (obstacles.length === 0) return null;
  return {
    reason: obstacles.map((obstacle) => obstacle.reason).join(', and it '),
    fix: ['correct the registry', ...new Set(obstacles.map((obstacle) => obstacle.fix))].join(', or '),
  };
}
