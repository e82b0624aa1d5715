import { BuildFailed } from '../shared/errors.ts';
import { type CompiledIndex, indexId, tableId } from '../shared/registry.ts';
import { listed, listedStatements, shortened } from '../shared/text.ts';
import { quoted, visible } from '../shared/visible-text.ts';
import { type Client, trustedRolesOf } from './client.ts';
import { type DefinitionNames, namesIn } from './definition-names.ts';
import { clipBytes, indexKey, quoteIdentifier, type Table } from './identifiers.ts';
import { resolvedSearchPath, schemasBeforePath } from './search-path.ts';
import { INSUFFICIENT_PRIVILEGE } from './sqlstate.ts';
import { isTrustedRole } from './trusted-roles.ts';

/*
 * PostgreSQL builds an index with the rights of the table's owner. Two cases remain in which code of a role that is not trusted
 * would get the rights of the deploy role:
 * - a literal of an array, a row or a range, whose element type is a domain. The server checks the domain when it reads the
 *   statement, still with the rights of the role that sent it;
 * - a function or an operator in the index of a table that a trusted role owns.
 * Such an index is neither compared nor built.
 */

/** An object of a role that is not trusted, which a definition may use. */
interface UntrustedObject {
  key: string;
  /** Type and identity, as pg_identify_object returns them. */
  type: string;
  identity: string;
  owner: string;
  tableOwner: string;
}

/** For each entry that may use code of roles that are not trusted, by `indexKey`: why its index is neither compared nor built. */
export async function readUntrustedCode(
  client: Client,
  entries: readonly CompiledIndex[],
): Promise<Map<string, string>> {
  const suspects = await readSuspects(client, entries);
  if (suspects.length === 0) return new Map();
  const { rows } = await client.query<UntrustedObject & { deployRole: string }>(UNTRUSTED, [
    JSON.stringify(suspects),
    trustedRolesOf(client),
    await resolvedSearchPath(client),
  ]);
  const byKey = Map.groupBy(rows, (row) => row.key);
  return new Map(
    entries.flatMap((entry) => {
      const objects = byKey.get(indexKey(entry));
      return objects === undefined ? [] : [[indexKey(entry), describe(entry, objects)]];
    }),
  );
}

/** What an entry names, for UNTRUSTED. */
interface Suspect extends DefinitionNames, Table {
  readonly key: string;
  /** The schema comes first in the search path. */
  readonly isTenant: boolean;
}

/**
 * The entries that name a function or an operator of which a role that is not trusted owns one, and those with a literal that a
 * domain of such a role can check. Few databases have any, and then no table has to be read.
 */
async function readSuspects(client: Client, entries: readonly CompiledIndex[]): Promise<Suspect[]> {
  const byText = new Map<string, DefinitionNames>();
  const named = entries.flatMap((entry): Suspect[] => {
    const { schema, table } = entry;
    const names = byText.get(entry.definition) ?? namesIn(entry.definition);
    byText.set(entry.definition, names);
    return names.functions.length > 0 || names.operators.length > 0 || names.hasCompositeLiteral
      ? [{ ...names, key: indexKey(entry), schema, table, isTenant: schemasBeforePath(entry).length > 0 }]
      : [];
  });
  if (named.length === 0) return [];
  const functions = new Set(named.flatMap((one) => one.functions.map(({ name }) => name)));
  const operators = new Set(named.flatMap((one) => one.operators));
  const { rows } = await client.query<{ functions: string[]; operators: string[]; domains: boolean }>(
    SUSPICIOUS,
    [[...functions], trustedRolesOf(client), [...operators]],
  );
  const [suspicious] = rows;
  if (suspicious === undefined) return named;
  return named.filter(
    (one) =>
      one.functions.some(({ name }) => suspicious.functions.includes(clipBytes(name))) ||
      one.operators.some((name) => suspicious.operators.includes(clipBytes(name))) ||
      (one.hasCompositeLiteral && suspicious.domains),
  );
}

/**
 * Refuses a definition that may use code of a role that is not trusted, immediately before it is built: since the plan, the owner of the
 * table could have changed the type of a column.
 * @throws BuildFailed (insufficient_privilege)
 */
export async function refuseUntrustedCode(client: Client, entry: CompiledIndex): Promise<void> {
  const message = (await readUntrustedCode(client, [entry])).get(indexKey(entry));
  if (message !== undefined) throw new BuildFailed(message, { sqlstate: INSUFFICIENT_PRIVILEGE });
}

const MOST = 5;
const LONGEST_OBJECT = 120;

function describe(
  entry: CompiledIndex,
  objects: readonly (UntrustedObject & { deployRole: string })[],
): string {
  const [first] = objects;
  const types = objects.filter(({ type }) => type === 'type');
  const shown = (some: readonly UntrustedObject[]) =>
    listed(
      some.map(
        ({ type, identity, owner }) =>
          `the ${type} ${shortened(identity, LONGEST_OBJECT)} of ${quoted(owner)}`,
      ),
      MOST,
    );
  const reason =
    types.length > 0
      ? `it has a literal that can be of ${shown(types)}. PostgreSQL checks such a literal with the rights of the deploy role`
      : `it may call ${shown(objects)}. PostgreSQL would run that with the rights of ${quoted(first?.tableOwner ?? '')}, the owner of ${tableId(entry)}`;
  const fixes = [...new Set((types.length > 0 ? types : objects).map(fixOf))];
  return visible(
    `Index ${indexId(entry)} is neither compared nor built: ${reason}. If you trust that role like the deploy role, name it in ` +
      'database.trustedRoles (run --trusted-role NAME). Otherwise read what the code does, then connect as a superuser and run: ' +
      listedStatements(fixes, MOST),
  );
}

function fixOf({ type, identity, deployRole }: UntrustedObject & { deployRole: string }): string {
  return `ALTER ${type.toUpperCase()} ${identity} OWNER TO ${quoteIdentifier(deployRole)};`;
}

const trusted = (role: string) => isTrustedRole(role, '$2');

/** The names of functions and operators that roles which are not trusted have used too, and whether such a role has a domain. */
const SUSPICIOUS = `
  with functions as (
    select p.proname, p.proowner
      from pg_catalog.pg_proc p
     where p.proname = any ($1::pg_catalog.name[])
  ), operators as (
    select o.oprname, owners.owner
      from pg_catalog.pg_operator o
      join pg_catalog.pg_proc p on p.oid = o.oprcode
     cross join lateral (values (o.oprowner), (p.proowner)) owners (owner)
     where o.oprname = any ($3::pg_catalog.name[])
  ), domains as (
    select t.typowner as owner from pg_catalog.pg_type t where t.typtype = 'd'::pg_catalog."char"
     union all
    select p.proowner
      from pg_catalog.pg_constraint c
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.objid = c.oid
                                 and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      join pg_catalog.pg_proc p on p.oid = d.refobjid
     where c.contypid <> 0::pg_catalog.oid
  ), untrusted as materialized (
    select o.owner
      from (select proowner as owner from functions union select owner from operators union select owner from domains) o
     where not ${trusted('o.owner')}
  )
  select array(select distinct f.proname::pg_catalog.text from functions f where f.proowner in (select owner from untrusted)) as functions,
         array(select distinct o.oprname::pg_catalog.text from operators o where o.owner in (select owner from untrusted)) as operators,
         exists (select from domains d where d.owner in (select owner from untrusted)) as domains`;

/** A name without a schema is looked up in the search path. The schema of an operator is not read: OPERATOR(schema.name). */
const OPERATOR_IN_PATH = `
  ('operator' = any (e.identifiers) or exists (
     select from pg_catalog.pg_namespace n where n.oid = o.oprnamespace and (n.nspname = any ($3::pg_catalog.name[]) or n.oid = e.tenant)))`;

/*
 * `types` has the types that a literal can have: those of the table's columns, and those that the definition names. `inside`
 * means that a value of the type is part of an array, a row or a range. Only then is a domain checked when the literal is read.
 */
const UNTRUSTED = `
  with recursive named as materialized (
    select e.key, e.functions, e.operators, e.identifiers, e."hasCompositeLiteral" as literal, t.oid as table_oid, t.relowner,
           case when e."isTenant" then n.oid end as tenant
      from pg_catalog.jsonb_to_recordset($1::pg_catalog.jsonb)
             as e (key pg_catalog.text, schema pg_catalog.text, "table" pg_catalog.text, functions pg_catalog.jsonb,
                   operators pg_catalog.text[], identifiers pg_catalog.text[], "hasCompositeLiteral" pg_catalog.bool,
                   "isTenant" pg_catalog.bool)
      join pg_catalog.pg_namespace n on n.nspname = e.schema::pg_catalog.name
      join pg_catalog.pg_class t on t.relnamespace = n.oid and t.relname = e."table"::pg_catalog.name
  ), owners as materialized (
    select o.relowner, ${trusted('o.relowner')} as is_trusted from (select distinct named.relowner from named) o
  ), entry as (
    select named.*, owners.is_trusted as owner_is_trusted from named join owners using (relowner)
  ), types (key, type, inside) as (
    select root.key, root.type, false
      from (select e.key, a.atttypid as type
              from entry e
              join pg_catalog.pg_attribute a on a.attrelid = e.table_oid and a.attnum > 0::pg_catalog.int2 and not a.attisdropped
             where e.literal
             union all
            select e.key, one.type
              from entry e
              join pg_catalog.pg_type t on t.typname = any (e.identifiers::pg_catalog.name[])
             cross join lateral (values (t.oid), (t.typarray)) as one (type)
             where e.literal and one.type <> 0::pg_catalog.oid) root
     union
    select s.key, part.type, s.inside or part.inside
      from types s
      join pg_catalog.pg_type t on t.oid = s.type
     cross join lateral (
       select t.typelem as type, true as inside where t.typelem <> 0::pg_catalog.oid
        union all
       select t.typbasetype, false where t.typbasetype <> 0::pg_catalog.oid
        union all
       select r.rngsubtype, true from pg_catalog.pg_range r where t.oid in (r.rngtypid, r.rngmultitypid)
        union all
       select a.atttypid, true
         from pg_catalog.pg_attribute a
        where t.typrelid <> 0::pg_catalog.oid and a.attrelid = t.typrelid and a.attnum > 0::pg_catalog.int2 and not a.attisdropped
     ) part
  ), code (key, classid, objid, owner) as (
    select s.key, 'pg_catalog.pg_type'::pg_catalog.regclass, t.oid, t.typowner
      from types s
      join pg_catalog.pg_type t on t.oid = s.type and t.typtype = 'd'::pg_catalog."char"
     where s.inside
     union
    select s.key, 'pg_catalog.pg_type'::pg_catalog.regclass, s.type, p.proowner
      from types s
      join pg_catalog.pg_constraint c on c.contypid = s.type
      join pg_catalog.pg_depend d on d.classid = 'pg_catalog.pg_constraint'::pg_catalog.regclass and d.objid = c.oid
                                 and d.refclassid = 'pg_catalog.pg_proc'::pg_catalog.regclass
      join pg_catalog.pg_proc p on p.oid = d.refobjid
     where s.inside
     union
    select e.key, 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, p.proowner
      from entry e
     cross join lateral pg_catalog.jsonb_to_recordset(e.functions) as f (schema pg_catalog.text, name pg_catalog.text)
      join pg_catalog.pg_proc p on p.proname = f.name::pg_catalog.name
      join pg_catalog.pg_namespace n on n.oid = p.pronamespace
       and case when f.schema is null then n.nspname = any ($3::pg_catalog.name[]) or n.oid = e.tenant else n.nspname = f.schema::pg_catalog.name end
     where e.owner_is_trusted
     union
    select e.key, 'pg_catalog.pg_operator'::pg_catalog.regclass, o.oid, o.oprowner
      from entry e
      join pg_catalog.pg_operator o on o.oprname = any (e.operators::pg_catalog.name[]) and ${OPERATOR_IN_PATH}
     where e.owner_is_trusted
     union
    select e.key, 'pg_catalog.pg_proc'::pg_catalog.regclass, p.oid, p.proowner
      from entry e
      join pg_catalog.pg_operator o on o.oprname = any (e.operators::pg_catalog.name[]) and ${OPERATOR_IN_PATH}
      join pg_catalog.pg_proc p on p.oid = o.oprcode
     where e.owner_is_trusted
  ), untrusted as (
    select o.owner from (select distinct code.owner from code) o where not ${trusted('o.owner')}
  )
  select code.key,
         identity.type,
         identity.identity,
         pg_catalog.pg_get_userbyid(code.owner) as owner,
         pg_catalog.pg_get_userbyid(e.relowner) as "tableOwner",
         current_user as "deployRole"
    from code
    join untrusted on untrusted.owner = code.owner
    join entry e on e.key = code.key
   cross join lateral pg_catalog.pg_identify_object(code.classid::pg_catalog.oid, code.objid, 0) identity
   order by 1, 2, 3`;
