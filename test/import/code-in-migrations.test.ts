import { expect, test } from 'vitest';
import { onEachMajor, serverOf } from '../support/servers.ts';
import { importAndCompare } from './against-server.ts';

const T = 'create table t (a int, b text, c int, d int);';

interface Case {
  /** Each runs in a session of its own. */
  readonly files: readonly string[];
  /** Names of the indexes that become entries. */
  readonly entries: readonly string[];
  /** What is reported; an index by its name. @default nothing */
  readonly reported?: readonly string[];
  /** Number of indexes that belong to the index of a partitioned table. @default 0 */
  readonly parts?: number;
}

/** DO blocks and functions. */
const CASES: Record<string, Case> = {
  'foreach array': {
    files: [
      `${T} create table u (a int); create table w (a int)`,
      `do $$ declare x text; begin foreach x in array array['t','u']::text[] loop execute format('create index idx_%s_a on %I (a)', x, x); end loop; end $$;`,
    ],
    entries: ['idx_t_a', 'idx_u_a'],
  },
  'for unnest': {
    files: [
      `${T} create index i1 on t (a); create index i2 on t (b); create index i3 on t(c);`,
      `do $$ declare n text; begin for n in select unnest(array['i1','i2']) loop execute 'drop index ' || quote_ident(n); end loop; end $$;`,
    ],
    entries: ['i3'],
  },
  declared: {
    files: [
      `${T} create index i on t (a);`,
      `do $$ declare idx constant text := 'i'; new_name text default 'j'; begin execute format('alter index %I rename to %I', idx, new_name); end $$;`,
    ],
    entries: ['j'],
  },
  'int range': {
    files: [
      `${T} create index i1 on t (a); create index i2 on t (b); create index i3 on t(c);`,
      `do $$ begin for n in 1..2 loop execute format('drop index i%s', n); end loop; end $$;`,
    ],
    entries: ['i3'],
  },
  'loop like': {
    files: [
      `${T} create index old_1 on t (a); create index i2 on t (b);`,
      `do $$ declare r record; begin for r in select indexname from pg_indexes where indexname like 'old%' loop execute 'drop index ' || quote_ident(r.indexname); end loop; end $$;`,
    ],
    entries: ['i2'],
    reported: ['code in a DO block', 'old_1'],
  },
  'rls loop': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ declare r text; begin foreach r in array array['t'] loop execute format('alter table %I enable row level security', r); end loop; end $$;`,
    ],
    entries: ['i'],
  },
  'drizzle fk': {
    files: [
      `${T} create table u (id int primary key); alter table t add column uid int; create index i on t (uid);`,
      `DO $$ BEGIN
 ALTER TABLE "t" ADD CONSTRAINT "t_uid_fk" FOREIGN KEY ("uid") REFERENCES "public"."u"("id") ON DELETE no action;
EXCEPTION
 WHEN duplicate_object THEN null;
END $$;`,
    ],
    entries: ['i'],
  },
  'handler fails': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin create index i on t (b); exception when duplicate_table then drop index i; end $$;`,
    ],
    entries: [],
  },
  'raise branch': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if (select count(*) from t) > 0 then raise exception 'not empty'; end if; drop index i; end $$;`,
    ],
    entries: [],
  },
  'unknown cond': {
    files: [
      `${T} create index i on t (a); create index j on t (b)`,
      `do $$ begin if (select count(*) from t) = 0 then drop index i; else drop index j; end if; end $$;`,
    ],
    entries: [],
    reported: ['i', 'j'],
  },
  current_setting: {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if current_setting('server_version_num')::int > 90000 then drop index i; end if; end $$;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'uncertain then recreate': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if (select count(*) from t) = 0 then drop index i; end if; end $$; create index i on t (b);`,
    ],
    entries: ['i'],
  },
  'uncertain then drop if exists': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if (select count(*) from t) = 0 then drop index i; end if; end $$; drop index if exists i;`,
    ],
    entries: [],
  },
  'uncertain create': {
    files: [
      `${T}`,
      `do $$ begin if (select count(*) from t) = 0 then create index i on t (a); end if; end $$;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'uncertain table': {
    files: [
      ``,
      `do $$ begin if current_user <> 'x' then create table t (a int); end if; end $$; create index i on t (a);`,
    ],
    entries: ['i'],
  },
  'uncertain rename column': {
    files: [
      `${T} create index i on t (a); create index j on t (b);`,
      `do $$ begin if current_user <> 'x' then alter table t rename column a to z; end if; end $$;`,
    ],
    entries: ['j'],
    reported: ['i'],
  },
  'uncertain attach': {
    files: [
      `create table p (a int, b int) partition by range (a); create index i on p (b); create table p1 (a int, b int); create index i1 on p1 (b);`,
      `do $$ begin if current_user <> 'x' then alter table p attach partition p1 for values from (1) to (5); end if; end $$;`,
    ],
    entries: ['i'],
    reported: ['i1'],
  },
  'uncertain using index': {
    files: [
      `${T} create unique index i on t (a);`,
      `do $$ begin if current_user <> 'x' then alter table t add constraint k unique using index i; end if; end $$;`,
    ],
    entries: [],
    reported: ['i'],
  },
  elsif: {
    files: [
      `${T} create index i on t (a); create index j on t (b);`,
      `do $$ begin if to_regclass('public.nope') is not null then drop index j; elsif to_regclass('i') is not null then drop index i; else drop index j; end if; end $$;`,
    ],
    entries: ['j'],
  },
  'cond namespace join': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if exists (select 1 from pg_class c join pg_namespace n on n.oid = c.relnamespace where c.relname = 'i' and n.nspname = 'public' and c.relkind = 'i') then drop index i; end if; end $$;`,
    ],
    entries: [],
  },
  'cond other schema': {
    files: [
      `create schema s; ${T} create index i on t (a);`,
      `do $$ begin if exists (select 1 from pg_indexes where schemaname = 's' and indexname = 'i') then drop index i; end if; end $$;`,
    ],
    entries: ['i'],
  },
  'cond column type': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if exists (select 1 from information_schema.columns where table_name = 't' and column_name = 'a' and data_type = 'integer') then alter table t alter column a type bigint; drop index i; end if; end $$;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'cond constraint': {
    files: [
      `${T} alter table t add constraint k unique (a); create index i on t (b)`,
      `do $$ begin if not exists (select 1 from pg_constraint where conname = 'k') then alter table t add constraint k unique (a); end if; if exists (select 1 from information_schema.table_constraints where constraint_name = 'k' and table_name = 't') then alter table t drop constraint k; end if; end $$;`,
    ],
    entries: ['i'],
  },
  'plpgsql create table in do with pk': {
    files: [
      ``,
      `do $$ begin create table if not exists t (id serial primary key, a int); create index if not exists i on t (a); end $$;`,
    ],
    entries: ['i'],
  },
  'function with args': {
    files: [
      `${T} create table u (a int)`,
      `create function mk(x text) returns void language plpgsql as $$ begin execute format('create index on %I (a)', x); end $$; select mk('t');`,
    ],
    entries: ['t_a_idx'],
  },
  'function sql multi': {
    files: [
      `${T} create index i on t (a); create index j on t (b);`,
      `create procedure p() language sql as $$ drop index i; alter index j rename to k; $$; call p();`,
    ],
    entries: ['k'],
  },
  'function overload': {
    files: [
      `${T} create index i on t (a);`,
      `create function f() returns void language sql as 'drop index i'; create function f(int) returns void language sql as 'select 1'; select f(1);`,
    ],
    entries: [],
    reported: ['i'],
  },
  'nested call': {
    files: [
      `${T} create index i on t (a);`,
      `create function g() returns void language plpgsql as $$ begin drop index i; end $$; create function f() returns void language plpgsql as $$ begin perform g(); end $$; do $$ begin perform f(); end $$;`,
    ],
    entries: [],
  },
  'while exit': {
    files: [`${T} create index i on t (a);`, `do $$ begin loop drop index i; exit; end loop; end $$;`],
    entries: [],
    reported: ['i'],
  },
  'do string escapes': {
    files: [`${T} create index "i'x" on t (a);`, `do 'begin execute ''drop index "i''''x"''; end';`],
    entries: [],
  },
  'do unicode': {
    files: [
      `${T} create index "é" on t (a);`,
      `do $$ begin /* ü */ drop index "é"; create index "ö" on t (b); end $$;`,
    ],
    entries: ['ö'],
  },
  'execute multi': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin execute 'drop index i; create index j on t (b)'; end $$;`,
    ],
    entries: ['j'],
  },
  'dollar in do': {
    files: [`${T} create index i on t (a);`, `do $do$ begin execute $x$drop index i$x$; end $do$;`],
    entries: [],
  },
  'do drop': {
    files: [`${T} create index i on t (a);`, `do $$ begin drop index i; end $$;`],
    entries: [],
  },
  'do drop if exists': {
    files: [`${T} create index i on t (a);`, `do $$ begin drop index if exists i; end $$;`],
    entries: [],
  },
  'do cond drop': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if exists (select from pg_class where relname = 'i') then drop index i; end if; end $$;`,
    ],
    entries: [],
  },
  'do execute drop': {
    files: [`${T} create index i on t (a);`, `do $$ begin execute 'drop index i'; end $$;`],
    entries: [],
  },
  'do rename index': {
    files: [`${T} create index i on t (a);`, `do $$ begin alter index i rename to j; end $$;`],
    entries: ['j'],
  },
  'do rename table': {
    files: [`${T} create index i on t (a);`, `do $$ begin alter table t rename to u; end $$;`],
    entries: ['i'],
  },
  'do rename column': {
    files: [`${T} create index i on t (a);`, `do $$ begin alter table t rename column a to z; end $$;`],
    entries: ['i'],
  },
  'do drop column': {
    files: [`${T} create index i on t (a);`, `do $$ begin alter table t drop column a; end $$;`],
    entries: [],
  },
  'do drop table': {
    files: [`${T} create index i on t (a);`, `do $$ begin drop table if exists t; end $$;`],
    entries: [],
  },
  'do set schema': {
    files: [
      `create schema s; ${T} create index i on t (a);`,
      `do $$ begin alter table t set schema s; end $$;`,
    ],
    entries: ['i'],
  },
  'do create': {
    files: [`${T}`, `do $$ begin create index i on t (a); end $$;`],
    entries: ['i'],
  },
  'do create cond': {
    files: [
      `${T}`,
      `do $$ begin if not exists (select 1 from pg_indexes where indexname = 'i') then create index i on t (a); end if; end $$;`,
    ],
    entries: ['i'],
  },
  'do exception': {
    files: [`${T}`, `do $$ begin create index i on t (a); exception when duplicate_table then null; end $$;`],
    entries: ['i'],
  },
  'do exception raised': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin drop index i; drop index nope; exception when undefined_object then null; end $$;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'do loop drop': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ declare r record; begin for r in select indexname from pg_indexes where tablename = 't' loop execute format('drop index %I', r.indexname); end loop; end $$;`,
    ],
    entries: [],
    reported: ['code in a DO block', 'i'],
  },
  'do if false': {
    files: [`${T} create index i on t (a);`, `do $$ begin if 1 = 2 then drop index i; end if; end $$;`],
    entries: ['i'],
  },
  'do cond rename table': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if exists (select from information_schema.tables where table_name = 't') then alter table t rename to u; end if; end $$;`,
    ],
    entries: ['i'],
  },
  'do cond rename col': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if exists (select from information_schema.columns where table_name = 't' and column_name = 'a') then alter table t rename column a to z; end if; end $$;`,
    ],
    entries: ['i'],
  },
  'do sql language': {
    files: [
      `${T} create index i on t (a);`,
      `create or replace function f() returns void language sql as 'drop index i'; select f();`,
    ],
    entries: [],
  },
  'fn drop called': {
    files: [
      `${T} create index i on t (a);`,
      `create function f() returns void language plpgsql as $$ begin drop index i; end $$; select f();`,
    ],
    entries: [],
  },
  'fn drop perform': {
    files: [
      `${T} create index i on t (a);`,
      `create function f() returns void language plpgsql as $$ begin alter table t rename to u; end $$; do $$ begin perform f(); end $$;`,
    ],
    entries: ['i'],
  },
  'proc drop call': {
    files: [
      `${T} create index i on t (a);`,
      `create procedure f() language plpgsql as $$ begin alter index i rename to k; end $$; call f();`,
    ],
    entries: ['k'],
  },
  'case stmt': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin case when true then drop index i; else null; end case; end $$;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'nested blocks': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ <<o>> declare x int := 1; begin begin drop index i; exception when others then null; end; end o $$;`,
    ],
    entries: [],
  },
  'return early': {
    files: [
      `${T} create index i on t (a);`,
      `do $$ begin if not exists (select from pg_class where relname = 'nope') then return; end if; drop index i; end $$;`,
    ],
    entries: ['i'],
  },
  'return early 2': {
    files: [`${T} create index i on t (a);`, `do $$ begin return; drop index i; end $$;`],
    entries: ['i'],
  },
  while: {
    files: [
      `${T} create index i on t (a);`,
      `do $$ declare n int := 0; begin while n < 1 loop drop index i; n := n + 1; end loop; end $$;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'perform set_config': {
    files: [
      `create schema s; ${T} create table s.t (a int); create index i on t (a); create index i on s.t (a);`,
      `do $$ begin perform set_config('search_path', 's', false); drop index i; end $$; create index k on t (a);`,
    ],
    entries: ['i', 'k'],
  },
  'do set': {
    files: [
      `create schema s; ${T} create table s.t (a int);`,
      `do $$ begin set search_path = s; end $$; create index k on t (a);`,
    ],
    entries: ['k'],
  },
};

onEachMajor('what import writes and reports is what the server has', (major) => {
  test.each(Object.entries(CASES))('%s', async (_name, { files, entries, reported = [], parts = 0 }) => {
    const imported = await importAndCompare(files, serverOf(major).adminUrl);

    expect(imported.entries.map(({ name }) => name)).toEqual(entries);
    expect(imported.notTaken.map(({ what }) => what.replace(/^index /, ''))).toEqual(reported);
    expect(imported.parts).toBe(parts);
  });
});
