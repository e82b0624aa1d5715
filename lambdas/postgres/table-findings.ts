import { listed, shortened } from '../shared/text.ts';
import { quoted } from '../shared/visible-text.ts';
import { type Client, trustedRolesOf } from './client.ts';
import { quotedTable, quoteIdentifier, type Table } from './identifiers.ts';
import { isTrustedRole } from './trusted-roles.ts';

/*
 * What lets a role that is not trusted run its code when this product uses a table: see trusted-table.ts. This file reads the
 * catalog only. That locks nothing, and runs nothing.
 */

/** A way in which another role controls a table. */
type Finding =
  | { kind: 'relation'; relkind: string }
  | { kind: 'owner'; owner: string }
  | { kind: 'trigger'; name: string; runs: string | null; owner: string | null }
  | { kind: 'rule'; name: string }
  | { kind: 'row security'; policies: string[] }
  | { kind: 'inheritance'; child: Table; parent: Table }
  | { kind: 'foreign key'; name: string; on: Table; owner: string }
  | { kind: 'code'; part: string; object: string; type: string; owner: string }
  | { kind: 'schema owner'; owner: string }
  | { kind: 'schema privilege'; role: string | null };

/** What the catalog says about one table. */
export interface TableState extends Table {
  /** Null: it does not exist. */
  readonly oid: number | null;
  readonly schemaOid: number;
  /** The owner of the schema is trusted, so that nobody else can replace the schema. */
  readonly schemaIsTrusted: boolean;
  /** Name of the schema's owner. */
  readonly schemaOwner: string;
  /** The deploy role may lock rows of pg_namespace. Only superusers may, by default. */
  readonly canLockSchema: boolean;
  readonly findings: readonly Finding[];
}

/** A schema of which this product is the only user. Other roles may not create anything in it. */
export const OWN_SCHEMA = 'deploy_step';

/** Reads the state of tables. A table whose schema does not exist is omitted. */
export async function readTableStates(client: Client, tables: readonly Table[]): Promise<TableState[]> {
  const { rows } = await client.query<TableState>(STATES, [
    tables.map((one) => one.schema),
    tables.map((one) => one.table),
    trustedRolesOf(client),
    OWN_SCHEMA,
  ]);
  return rows;
}

const trusted = (role: string) => isTrustedRole(role, '$3');

/** The owner of the object `used`. Null: it has none that matters. */
const OWNER = `
  case used.classid
    when 'pg_catalog.pg_proc'::pg_catalog.regclass then (select p.proowner from pg_catalog.pg_proc p where p.oid = used.objid)
    when 'pg_catalog.pg_operator'::pg_catalog.regclass then (select o.oprowner from pg_catalog.pg_operator o where o.oid = used.objid)
    when 'pg_catalog.pg_type'::pg_catalog.regclass then (select t.typowner from pg_catalog.pg_type t where t.oid = used.objid)
    when 'pg_catalog.pg_opclass'::pg_catalog.regclass then (select o.opcowner from pg_catalog.pg_opclass o where o.oid = used.objid)
    when 'pg_catalog.pg_opfamily'::pg_catalog.regclass then (select o.opfowner from pg_catalog.pg_opfamily o where o.oid = used.objid)
  end`;

/*
 * `used` has, for each table, what belongs to it (indexes, defaults, constraints, triggers, statistics) and what these call
 * (functions, operators, types), with the part of the table through which they are reached.
 */
const STATES = `
  with recursive wanted as (
    select w.schema, w.name, n.oid as schema_oid, n.nspowner, n.nspacl, c.oid, c.relkind, c.relowner,
           c.relrowsecurity or c.relforcerowsecurity as secured
      from rows from (pg_catalog.unnest($1::pg_catalog.text[]), pg_catalog.unnest($2::pg_catalog.text[])) as w (schema, name)
      join pg_catalog.pg_namespace n on n.nspname = w.schema::pg_catalog.name
      left join pg_catalog.pg_class c on c.relnamespace = n.oid and c.relname = w.name::pg_catalog.name
  ), used (root, classid, objid, part_class, part) as (
    select oid, 'pg_catalog.pg_class'::pg_catalog.regclass::pg_catalog.oid, oid, 0::pg_catalog.oid, 0::pg_catalog.oid
      from wanted where relkind = 'r'
     union
    select u.root, next.classid, next.objid,
           case when u.part = 0::pg_catalog.oid then next.classid else u.part_class end,
           case when u.part = 0::pg_catalog.oid then next.objid else u.part end
      from used u
     cross join lateral (
       select d.classid, d.objid
         from pg_catalog.pg_depend d
        where d.refclassid = u.classid and d.refobjid = u.objid and d.deptype in ('a', 'i')
          and d.classid in ('pg_catalog.pg_class'::pg_catalog.regclass, 'pg_catalog.pg_attrdef'::pg_catalog.regclass,
                            'pg_catalog.pg_constraint'::pg_catalog.regclass, 'pg_catalog.pg_trigger'::pg_catalog.regclass,
                            'pg_catalog.pg_statistic_ext'::pg_catalog.regclass)
        union all
       select d.refclassid, d.refobjid
         from pg_catalog.pg_depend d
        where d.classid = u.classid and d.objid = u.objid
          and d.refclassid in ('pg_catalog.pg_proc'::pg_catalog.regclass, 'pg_catalog.pg_operator'::pg_catalog.regclass,
                               'pg_catalog.pg_type'::pg_catalog.regclass, 'pg_catalog.pg_opclass'::pg_catalog.regclass,
                               'pg_catalog.pg_opfamily'::pg_catalog.regclass)
     ) next
     where u.classid <> 'pg_catalog.pg_proc'::pg_catalog.regclass
  ), code as (
    select distinct used.root, used.part_class, used.part, pg_catalog.pg_get_userbyid(o.owner) as owner, identity.type, identity.identity
      from used
     cross join lateral (select ${OWNER} as owner) o
     cross join lateral pg_catalog.pg_identify_object(used.classid, used.objid, 0) identity
     where o.owner is not null and not ${trusted('o.owner')}
  ), findings (root, schema_oid, finding) as (
    select oid, null::pg_catalog.oid, pg_catalog.json_build_object('kind', 'relation', 'relkind', relkind) from wanted where relkind <> 'r'
     union all
    select oid, null, pg_catalog.json_build_object('kind', 'owner', 'owner', pg_catalog.pg_get_userbyid(relowner))
      from wanted where oid is not null and not ${trusted('relowner')}
     union all
    -- What a trigger does depends on its arguments too, and everyone with the privilege TRIGGER could have chosen them.
    select w.oid, null, pg_catalog.json_build_object('kind', 'trigger', 'name', t.tgname, 'runs', c.identity, 'owner', c.owner)
      from wanted w
      join pg_catalog.pg_trigger t on t.tgrelid = w.oid and not t.tgisinternal
      left join lateral (select code.identity, code.owner from code
                          where code.root = w.oid and code.part = t.oid and code.part_class = 'pg_catalog.pg_trigger'::pg_catalog.regclass
                          order by code.type, code.identity limit 1) c on true
     where c.owner is not null or t.tgnargs > 0::pg_catalog.int2
     union all
    select w.oid, null, pg_catalog.json_build_object('kind', 'rule', 'name', r.rulename)
      from wanted w
      join pg_catalog.pg_rewrite r on r.ev_class = w.oid
     where w.relkind = 'r'
     union all
    select w.oid, null, pg_catalog.json_build_object('kind', 'row security', 'policies', p.names)
      from wanted w
     cross join lateral (select coalesce(pg_catalog.json_agg(p.polname order by p.polname), '[]') as names
                           from pg_catalog.pg_policy p where p.polrelid = w.oid) p
     where w.secured or p.names::pg_catalog.text <> '[]'::pg_catalog.text
     union all
    select w.oid, null, pg_catalog.json_build_object('kind', 'inheritance',
             'child', pg_catalog.json_build_object('schema', cn.nspname, 'table', c.relname),
             'parent', pg_catalog.json_build_object('schema', pn.nspname, 'table', p.relname))
      from wanted w
      join pg_catalog.pg_inherits i on w.oid in (i.inhrelid, i.inhparent)
      join pg_catalog.pg_class c on c.oid = i.inhrelid
      join pg_catalog.pg_namespace cn on cn.oid = c.relnamespace
      join pg_catalog.pg_class p on p.oid = i.inhparent
      join pg_catalog.pg_namespace pn on pn.oid = p.relnamespace
     where w.relkind = 'r'
     union all
    select w.oid, null, pg_catalog.json_build_object('kind', 'foreign key', 'name', con.conname,
             'on', pg_catalog.json_build_object('schema', n.nspname, 'table', c.relname),
             'owner', pg_catalog.pg_get_userbyid(other.relowner))
      from wanted w
      join pg_catalog.pg_constraint con on con.contype = 'f' and w.oid in (con.conrelid, con.confrelid)
      join pg_catalog.pg_class c on c.oid = con.conrelid
      join pg_catalog.pg_namespace n on n.oid = c.relnamespace
      join pg_catalog.pg_class other on other.oid = case when con.conrelid = w.oid then con.confrelid else con.conrelid end
     where not ${trusted('other.relowner')}
     union all
    select code.root, null, pg_catalog.json_build_object('kind', 'code', 'object', code.identity, 'type', code.type, 'owner', code.owner,
             'part', pg_catalog.pg_describe_object(code.part_class, code.part, 0))
      from code
     where code.part_class <> 'pg_catalog.pg_trigger'::pg_catalog.regclass
     union all
    select null, schema_oid, pg_catalog.json_build_object('kind', 'schema owner', 'owner', pg_catalog.pg_get_userbyid(nspowner))
      from (select distinct schema_oid, nspowner from wanted where schema = $4::pg_catalog.text) s
     where not ${trusted('nspowner')}
     union all
    select null, schema_oid, pg_catalog.json_build_object('kind', 'schema privilege', 'role',
             case when acl.grantee = 0::pg_catalog.oid then null else pg_catalog.pg_get_userbyid(acl.grantee) end)
      from (select distinct schema_oid, nspowner, nspacl::pg_catalog.text as acl from wanted where schema = $4::pg_catalog.text) s
     cross join lateral pg_catalog.aclexplode(s.acl::pg_catalog.aclitem[]) acl
     where acl.privilege_type = 'CREATE'::pg_catalog.text and acl.grantee <> s.nspowner and not ${trusted('acl.grantee')}
  )
  select w.schema,
         w.name as "table",
         w.oid::pg_catalog.int8::pg_catalog.float8 as oid,
         w.schema_oid::pg_catalog.int8::pg_catalog.float8 as "schemaOid",
         ${trusted('w.nspowner')} as "schemaIsTrusted",
         pg_catalog.pg_get_userbyid(w.nspowner) as "schemaOwner",
         pg_catalog.has_table_privilege('pg_catalog.pg_namespace', 'update') as "canLockSchema",
         coalesce((select pg_catalog.json_agg(f.finding) from findings f
                    where f.root = w.oid
                       or (f.schema_oid = w.schema_oid and w.name = (select pg_catalog.min(first.name) from wanted first
                                                                      where first.schema_oid = w.schema_oid))), '[]') as findings
    from wanted w`;

/** A finding as text: a clause about the table, and the statement that removes it. */
interface Described {
  readonly text: string;
  readonly fix: string;
}

/** What to call a relation, and its name in ALTER. */
const RELATIONS: Readonly<Record<string, readonly [noun: string, keyword: string]>> = {
  p: ['a partitioned table', 'TABLE'],
  v: ['a view', 'VIEW'],
  m: ['a materialized view', 'MATERIALIZED VIEW'],
  f: ['a foreign table', 'FOREIGN TABLE'],
  S: ['a sequence', 'SEQUENCE'],
  c: ['a composite type', 'TYPE'],
  i: ['an index', 'INDEX'],
  I: ['an index', 'INDEX'],
};

/** Longest description of an object that another role has named, in characters. */
const LONGEST_OBJECT = 120;

/**
 * The result can contain names that another role has chosen: make it visible.
 * @param deployRole name of the role that becomes the owner
 */
export function describeFinding(table: Table, finding: Finding, deployRole: string): Described {
  const name = quotedTable(table);
  const role = quoteIdentifier(deployRole);
  switch (finding.kind) {
    case 'relation': {
      const [noun, keyword] = RELATIONS[finding.relkind] ?? ['not a table', 'TABLE'];
      return {
        text: `it is ${noun}`,
        fix: `ALTER ${keyword} ${name} RENAME TO ${quoteIdentifier(`${table.table}_old`)};`,
      };
    }
    case 'owner':
      return { text: `it belongs to ${quoted(finding.owner)}`, fix: `ALTER TABLE ${name} OWNER TO ${role};` };
    case 'trigger': {
      const { runs, owner } = finding;
      const what =
        runs === null || owner === null
          ? 'has arguments'
          : `runs ${shortened(runs, LONGEST_OBJECT)}, which belongs to ${quoted(owner)}`;
      return {
        text: `its trigger ${quoted(finding.name)} ${what}`,
        fix: `DROP TRIGGER ${quoteIdentifier(finding.name)} ON ${name};`,
      };
    }
    case 'rule':
      return {
        text: `it has the rule ${quoted(finding.name)}`,
        fix: `DROP RULE ${quoteIdentifier(finding.name)} ON ${name};`,
      };
    case 'row security': {
      const policies = finding.policies.map((policy) => `DROP POLICY ${quoteIdentifier(policy)} ON ${name};`);
      return {
        text: `it has row-level security${
          policies.length > 0
            ? ` (policies ${listed(
                finding.policies.map((policy) => quoted(policy)),
                5,
              )})`
            : ''
        }`,
        fix: [
          `ALTER TABLE ${name} DISABLE ROW LEVEL SECURITY, NO FORCE ROW LEVEL SECURITY;`,
          ...policies,
        ].join(' '),
      };
    }
    case 'inheritance': {
      const [child, parent] = [quotedTable(finding.child), quotedTable(finding.parent)];
      return {
        text: `${child} inherits from ${parent}`,
        fix: `ALTER TABLE ${child} NO INHERIT ${parent};`,
      };
    }
    case 'foreign key':
      return {
        text: `the foreign key ${quoted(finding.name)} connects it with a table of ${quoted(finding.owner)}`,
        fix: `ALTER TABLE ${quotedTable(finding.on)} DROP CONSTRAINT ${quoteIdentifier(finding.name)};`,
      };
    case 'code': {
      const { part, object, type, owner } = finding;
      return {
        text: `${shortened(part, LONGEST_OBJECT)} uses the ${type} ${shortened(object, LONGEST_OBJECT)}, which belongs to ${quoted(owner)}`,
        fix: `ALTER ${type.toUpperCase()} ${object} OWNER TO ${role};`,
      };
    }
    case 'schema owner':
      return {
        text: `the schema ${table.schema} belongs to ${quoted(finding.owner)}`,
        fix: `ALTER SCHEMA ${quoteIdentifier(table.schema)} OWNER TO ${role};`,
      };
    case 'schema privilege':
      return {
        text: `${finding.role === null ? 'every role' : quoted(finding.role)} may create objects in the schema ${table.schema}`,
        fix: `REVOKE CREATE ON SCHEMA ${quoteIdentifier(table.schema)} FROM ${finding.role === null ? 'PUBLIC' : quoteIdentifier(finding.role)};`,
      };
  }
}
