/*
 * Functions, operators and aggregates that a weaker role creates in the schema public. Each has the name of one of pg_catalog
 * and argument types that match the calls of catalog queries better, such as name instead of text. Each of them writes a line
 * to the log of the server when it runs, also in a read-only transaction and in one that is rolled back.
 */

/** The beginning of the log line of an overload that ran. */
export const EXECUTED = 'hostile overload executed as';

/** What an argument of pg_catalog's own function is replaced with. */
const REPLACEMENTS = `
  (values ('text', array['name', 'varchar', 'bpchar']), ('name', array['text', 'varchar']),
          ('any', array['name', 'text', 'oid', 'int4', 'bool', 'jsonb']),
          ('anyelement', array['name', 'text', 'oid', 'int4', 'bool', 'float8']),
          ('anynonarray', array['name', 'oid', 'int4']), ('anycompatible', array['name', 'text', 'oid', 'int4']),
          ('anyarray', array['name[]', 'text[]', 'oid[]', 'int2vector']), ('anycompatiblearray', array['name[]', 'text[]']),
          ('oid', array['regclass', 'int4', 'int8']), ('regclass', array['oid', 'text', 'name']),
          ('int8', array['int2', 'oid']), ('int4', array['int2', 'oid']), ('float8', array['int4', 'int8', 'numeric', 'float4']),
          ('numeric', array['int4', 'int8', 'float8'])) as replacement (original, others)`;

/** Creates the overloads. It takes some seconds, so create them in a template database. */
export const CREATE_OVERLOADS = `
  do $create$
  declare
    candidate record;
    body text := $body$ begin raise log '${EXECUTED} %: %', current_user, '$body$;
  begin
    -- Otherwise the overloads would run here.
    set local search_path = pg_catalog, pg_temp;
    set local check_function_bodies = off;
    set local client_min_messages = error;
    -- Functions and aggregates of up to three arguments: each argument by itself and all arguments are replaced.
    for candidate in
      with functions as (
        select p.oid, p.proname, p.proargtypes::oid[] as types, p.prokind, p.proretset,
               case when r.typtype = 'p' then 'text' else format_type(r.oid, null) end as result
          from pg_proc p
          join pg_type r on r.oid = p.prorettype
         where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind in ('f', 'a') and p.pronargs between 1 and 3
           and p.provariadic = 0 and (r.typtype <> 'p' or r.typname like 'any%' or r.typname = 'record')
           and p.proargmodes is null
      ), arguments as (
        select f.*, a.position, format_type(a.type, null) as original,
               case when t.typname = any (array['internal', 'cstring', 'trigger', 'event_trigger', 'any_range'])
                    then null else coalesce(replacement.others, array[format_type(a.type, null)]) end as others
          from functions f
         cross join unnest((f.types)[0:2]) with ordinality a (type, position)
          join pg_type t on t.oid = a.type
          left join ${REPLACEMENTS} on replacement.original = t.typname
      ), variants as (
        -- Each replacement at all places where it is possible, then at one place only.
        select f.oid, f.proname, f.prokind, f.proretset, f.result, choice,
               array_agg(case when only_at.position is null or only_at.position = f.position
                              then coalesce(f.others[choice], f.others[1]) else f.original end order by f.position) as types
          from arguments f
         cross join generate_series(1, 6) choice
         cross join (values (null::bigint), (1), (2), (3)) as only_at (position)
         group by f.oid, f.proname, f.prokind, f.proretset, f.result, choice, only_at.position
        having bool_and(f.others is not null)
      )
      select distinct on (v.proname, v.types) v.proname, v.prokind, v.proretset, v.result, array_to_string(v.types, ', ') as types
        from variants v
       where not exists (select from unnest(v.types) one where one like 'any%' or one like '"any%')
         and not exists (
           select from pg_proc p
            where p.pronamespace = 'pg_catalog'::regnamespace and p.proname = v.proname
              and (select array_agg(format_type(one, null) order by n) from unnest(p.proargtypes::oid[]) with ordinality a (one, n)) = v.types)
    loop
      begin
        if candidate.prokind = 'a' then
          execute format('create function public.%I(state text, %s) returns text language plpgsql as %L', 'step of ' || candidate.proname,
            candidate.types, body || candidate.proname || ' (aggregate)''; return null; end');
          execute format('create aggregate public.%I(%s) (sfunc = public.%I, stype = text)', candidate.proname, candidate.types,
            'step of ' || candidate.proname);
        else
          execute format('create function public.%I(%s) returns %s %s language plpgsql as %L', candidate.proname, candidate.types,
            case when candidate.proretset then 'setof' end, candidate.result,
            body || candidate.proname || '''; return' || case when candidate.proretset then '' else ' null' end || '; end');
        end if;
      exception when others then
        -- Not every combination is a function.
        null;
      end;
    end loop;
    for candidate in
      select operators.name, l.typname as left_type, r.typname as right_type
        from unnest(array['=', '<>', '<', '>', '<=', '>=', '||', '~~', '!~~', '~', '+', '-', '*', '/', '->', '->>', '@>', '&&']) operators (name)
       cross join pg_type l
       cross join pg_type r
       where l.typnamespace = 'pg_catalog'::regnamespace and r.typnamespace = 'pg_catalog'::regnamespace
         and l.typname = any (array['name', 'text', 'varchar', 'oid', 'regclass', 'int2', 'int4', 'int8', 'char', 'bool', 'float8', 'xid', 'timestamptz', 'jsonb'])
         and r.typname = any (array['name', 'text', 'varchar', 'oid', 'regclass', 'int2', 'int4', 'int8', 'char', 'bool', 'float8', 'xid', 'timestamptz', 'interval', 'jsonb'])
         and not exists (select from pg_operator o where o.oprnamespace = 'pg_catalog'::regnamespace
                           and o.oprname = operators.name and o.oprleft = l.oid and o.oprright = r.oid)
    loop
      execute format('create or replace function public.%I(a pg_catalog.%I, b pg_catalog.%I) returns bool language plpgsql as %L',
        'operator ' || candidate.name, candidate.left_type, candidate.right_type,
        body || 'operator ' || candidate.name || '''; return null; end');
      execute format('create operator public.%s (leftarg = pg_catalog.%I, rightarg = pg_catalog.%I, function = public.%I)',
        candidate.name, candidate.left_type, candidate.right_type, 'operator ' || candidate.name);
    end loop;
  end $create$`;

/**
 * Creates functions, operators and types with exactly the signature of those in pg_catalog. They run only if the schema public
 * comes before pg_catalog in the search path.
 */
export const CREATE_SAME_SIGNATURES = `
  do $create$
  declare
    candidate record;
    body text := $body$ begin raise log '${EXECUTED} %: same %', current_user, '$body$;
  begin
    set local search_path = pg_catalog, pg_temp;
    set local check_function_bodies = off;
    for candidate in
      select p.proname, p.proretset, pg_get_function_identity_arguments(p.oid) as types,
             case when r.typtype = 'p' then 'text' else format_type(r.oid, null) end as result
        from pg_proc p
        join pg_type r on r.oid = p.prorettype
       where p.pronamespace = 'pg_catalog'::regnamespace and p.prokind = 'f' and p.pronargs <= 4 and p.provariadic = 0
         and p.proargmodes is null and r.typname not in ('trigger', 'internal', 'event_trigger', 'language_handler', 'fdw_handler',
             'index_am_handler', 'table_am_handler', 'tsm_handler', 'cstring', 'void', 'record')
         and r.typname not like 'any%'
         and not exists (select from unnest(p.proargtypes::oid[]) a (type) join pg_type t on t.oid = a.type
                          where t.typname in ('internal', 'cstring'))
    loop
      begin
        execute format('create function public.%I(%s) returns %s %s language plpgsql as %L', candidate.proname, candidate.types,
          case when candidate.proretset then 'setof' end, candidate.result,
          body || candidate.proname || '''; return' || case when candidate.proretset then '' else ' null' end || '; end');
      exception when others then
        null;
      end;
    end loop;
    for candidate in
      select o.oprname as name, o.oprleft::regtype as left_type, o.oprright::regtype as right_type
        from pg_operator o
       where o.oprnamespace = 'pg_catalog'::regnamespace and o.oprkind = 'b' and o.oprresult = 'bool'::regtype
         and o.oprleft = any (array['name', 'text', 'oid', 'int4', 'int2', 'int8', '"char"', 'bool', 'xid']::regtype[])
    loop
      execute format('create or replace function public.%I(a %s, b %s) returns bool language plpgsql as %L',
        'operator ' || candidate.name, candidate.left_type, candidate.right_type,
        body || 'operator ' || candidate.name || '''; return null; end');
      execute format('create operator public.%s (leftarg = %s, rightarg = %s, function = public.%I)',
        candidate.name, candidate.left_type, candidate.right_type, 'operator ' || candidate.name);
    end loop;
    execute format('create function public.checked() returns bool language plpgsql as %L', body || 'domain''; return true; end');
    create domain public.text as pg_catalog.text check (public.checked());
    create domain public.jsonb as pg_catalog.jsonb check (public.checked());
    create domain public.oid as pg_catalog.oid check (public.checked());
    create domain public.int4 as pg_catalog.int4 check (public.checked());
  end $create$`;
