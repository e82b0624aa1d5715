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

/** Statements that drop, rename, move, copy and attach. */
const CASES: Record<string, Case> = {
  'cascade table to matview': {
    files: [
      `${T} create materialized view m as select a, b from t; create index i on m (a);`,
      `drop table t cascade;`,
    ],
    entries: [],
  },
  'cascade table to view to matview': {
    files: [
      `${T} create view v as select a, b from t; create materialized view m as select * from v; create index i on m (a);`,
      `drop table t cascade;`,
    ],
    entries: [],
  },
  'cascade view': {
    files: [
      `${T} create view v as select a, b from t; create materialized view m as select * from v; create index i on m (a);`,
      `drop view v cascade;`,
    ],
    entries: [],
  },
  'cascade matview': {
    files: [
      `${T} create materialized view v as select a, b from t; create materialized view m as select * from v; create index i on m (a); create index j on v (a);`,
      `drop materialized view v cascade;`,
    ],
    entries: [],
  },
  'cascade column': {
    files: [
      `${T} create materialized view m as select a, b from t; create index i on m (b); create materialized view m2 as select c from t; create index i2 on m2 (c);`,
      `alter table t drop column a cascade;`,
    ],
    entries: ['i2'],
  },
  'cascade column star': {
    files: [
      `${T} create view v as select * from t; create materialized view m as select b from v; create index i on m (b);`,
      `alter table t drop column a cascade;`,
    ],
    entries: [],
  },
  'cascade schema': {
    files: [
      `create schema s; create table s.t (a int); create materialized view m as select a from s.t; create index i on m (a);`,
      `drop schema s cascade;`,
    ],
    entries: [],
  },
  'cascade inheritance': {
    files: [`${T} create table k (e int) inherits (t); create index i on k (a);`, `drop table t cascade;`],
    entries: [],
  },
  'cascade partitions': {
    files: [
      `create table p (a int, b int) partition by range (a); create table p1 partition of p for values from (1) to (5); create index i on p1 (b);`,
      `drop table p cascade;`,
    ],
    entries: [],
  },
  'inherit drop column': {
    files: [
      `${T} create table k (e int) inherits (t); create index i on k (a); create index j on k (e);`,
      `alter table t drop column a;`,
    ],
    entries: ['j'],
  },
  'inherit rename column': {
    files: [
      `${T} create table k (e int) inherits (t); create index i on k (a); create index j on k (e);`,
      `alter table t rename column a to z;`,
    ],
    entries: ['i', 'j'],
  },
  'inherit drop column only': {
    files: [
      `${T} create table k (e int) inherits (t); create index i on k (a);`,
      `alter table only t drop column a;`,
    ],
    entries: ['i'],
  },
  'partition rename column': {
    files: [
      `create table p (a int, b int) partition by range (a); create table p1 partition of p for values from (1) to (5); create index i on p1 (b);`,
      `alter table p rename column b to z;`,
    ],
    entries: ['i'],
  },
  'partition drop column': {
    files: [
      `create table p (a int, b int, c int) partition by range (a); create table p1 partition of p for values from (1) to (5); create index i on p1 (b); create index j on p1 (c)`,
      `alter table p drop column b;`,
    ],
    entries: ['j'],
  },
  'cascade function': {
    files: [
      `${T} create function f(int) returns int language sql immutable as 'select $1'; create index i on t (f(a));`,
      `drop function f(int) cascade;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'cascade type': {
    files: [
      `create type e as enum ('x'); create table t (a e, b int); create index i on t (a); create index j on t (b);`,
      `drop type e cascade;`,
    ],
    entries: ['j'],
    reported: ['i'],
  },
  'cascade domain': {
    files: [
      `create domain e as int; create table t (a e, b int); create index i on t (a); create index j on t (b);`,
      `drop domain e cascade;`,
    ],
    entries: ['j'],
    reported: ['i'],
  },
  'cascade collation': {
    files: [
      `create collation e (provider = icu, locale = 'de'); create table t (a text, b int); create index i on t (a collate e); create index j on t (b);`,
      `drop collation e cascade;`,
    ],
    entries: ['j'],
    reported: ['i'],
  },
  'cascade fk': {
    files: [
      `create table u (id int primary key); create table t (a int references u); create index i on t (a);`,
      `drop table u cascade;`,
    ],
    entries: ['i'],
  },
  'attach index later': {
    files: [
      `create table p (a int, b int) partition by range (a); create table p1 partition of p for values from (1) to (5); create index i on only p (b); create index i1 on p1 (b);`,
      `alter index i attach partition i1;`,
    ],
    entries: ['i'],
    parts: 1,
  },
  'attach table matching index': {
    files: [
      `create table p (a int, b int) partition by range (a); create index i on p (b); create table p1 (a int, b int); create index i1 on p1 (b);`,
      `alter table p attach partition p1 for values from (1) to (5);`,
    ],
    entries: ['i'],
    parts: 1,
  },
  'attach table matching desc': {
    files: [
      `create table p (a int, b int) partition by range (a); create index i on p (b desc); create table p1 (a int, b int); create index i1 on p1 (b);`,
      `alter table p attach partition p1 for values from (1) to (5);`,
    ],
    entries: ['i'],
    parts: 1,
  },
  'attach table other index': {
    files: [
      `create table p (a int, b int) partition by range (a); create index i on p (b); create table p1 (a int, b int); create index i1 on p1 (b, a);`,
      `alter table p attach partition p1 for values from (1) to (5);`,
    ],
    entries: ['i', 'i1'],
    parts: 1,
  },
  'attach table other column order': {
    files: [
      `create table p (a int, b int) partition by range (a); create index i on p (b); create table p1 (b int, a int); create index i1 on p1 (b);`,
      `alter table p attach partition p1 for values from (1) to (5);`,
    ],
    entries: ['i'],
    parts: 1,
  },
  'create on parent adopts': {
    files: [
      `create table p (a int, b int) partition by range (a); create table p1 partition of p for values from (1) to (5); create index i1 on p1 (b);`,
      `create index i on p (b);`,
    ],
    entries: ['i'],
    parts: 1,
  },
  detach: {
    files: [
      `create table p (a int, b int) partition by range (a); create table p1 partition of p for values from (1) to (5); create index i on p (b);`,
      `alter table p detach partition p1;`,
    ],
    entries: ['i', 'p1_b_idx'],
  },
  'detach own': {
    files: [
      `create table p (a int, b int) partition by range (a); create table p1 partition of p for values from (1) to (5); create index i on only p (b); create index i1 on p1 (b); alter index i attach partition i1;`,
      `alter table p detach partition p1;`,
    ],
    entries: ['i', 'i1'],
  },
  'detach after attach': {
    files: [
      `create table p (a int, b int) partition by range (a); create index i on p (b); create table p1 (a int, b int); create index i1 on p1 (b); alter table p attach partition p1 for values from (1) to (5);`,
      `alter table p detach partition p1;`,
    ],
    entries: ['i', 'i1'],
  },
  'detach drop parent': {
    files: [
      `create table p (a int, b int) partition by range (a); create table p1 partition of p for values from (1) to (5); create index i on p (b);`,
      `alter table p detach partition p1; drop table p;`,
    ],
    entries: ['p1_b_idx'],
  },
  'sub partition': {
    files: [
      `create table p (a int, b int) partition by range (a); create table p1 partition of p for values from (1) to (50) partition by range (b); create table p11 partition of p1 for values from (1) to (50); create index i on p (b);`,
      `alter table p detach partition p1;`,
    ],
    entries: ['i', 'p1_b_idx'],
    parts: 1,
  },
  'drop and create': {
    files: [`${T} create index i on t (a);`, `drop index i; create index i on t (a, c);`],
    entries: ['i'],
  },
  'like indexes': {
    files: [
      `${T} create index i on t (a); create unique index j on t (lower(b)) where c > 0;`,
      `create table l (like t including indexes);`,
    ],
    entries: ['i', 'j', 'l_a_idx', 'l_lower_idx'],
  },
  'like all': {
    files: [
      `${T} create index i on t (a); create unique index j on t (lower(b)) where c > 0;`,
      `create table l (like t including all);`,
    ],
    entries: ['i', 'j', 'l_a_idx', 'l_lower_idx'],
  },
  'like excluding': {
    files: [`${T} create index i on t (a);`, `create table l (like t including all excluding indexes);`],
    entries: ['i'],
  },
  'rename schema': {
    files: [
      `create schema s; create table s.t (a int); create index i on s.t (a);`,
      `alter schema s rename to "S2";`,
    ],
    entries: ['i'],
  },
  'rename schema predicate': {
    files: [
      `create schema s; create function s.f(int) returns int language sql immutable as 'select $1'; create table s.t (a int); create index i on s.t (s.f(a));`,
      `alter schema s rename to s2;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'rename function': {
    files: [
      `create function f(int) returns int language sql immutable as 'select $1'; ${T} create index i on t (f(a));`,
      `alter function f(int) rename to g;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'function set schema': {
    files: [
      `create schema s; create function f(int) returns int language sql immutable as 'select $1'; ${T} create index i on t (f(a));`,
      `alter function f(int) set schema s;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'rename type': {
    files: [
      `create type e as enum ('x'); create table t (a e); create index i on t (a) where a = 'x'::e;`,
      `alter type e rename to e2;`,
    ],
    entries: [],
    reported: ['i'],
  },
  'rename enum value': {
    files: [
      `create type e as enum ('x'); create table t (a e); create index i on t (a) where a = 'x';`,
      `alter type e rename value 'x' to 'y';`,
    ],
    entries: [],
    reported: ['i'],
  },
  'alter column type': {
    files: [
      `create table t (a int, b varchar(20)); create index i on t (b) where b = 'x'; create index j on t (a) where a > 0;`,
      `alter table t alter column b type text; alter table t alter column a type bigint;`,
    ],
    entries: ['i', 'j'],
  },
  'set tablespace/storage': {
    files: [`${T} create index i on t (a);`, `alter index i set (fillfactor = 70);`],
    entries: ['i'],
  },
  reset: {
    files: [`${T} create index i on t (a) with (fillfactor = 70);`, `alter index i reset (fillfactor);`],
    entries: ['i'],
  },
  quoted: {
    files: [
      `create table "T x" ("A b" int, "C" text); create index "I x" on "T x" ("A b"); create index on "T x" (lower("C"));`,
      `alter table "T x" rename column "A b" to "Ab"; alter index "I x" rename to "I;y";`,
    ],
    entries: ['I;y', 'T x_lower_idx'],
  },
  'comments between': {
    files: [
      `${T} create /* x; */ index -- y
   i /* ' */ on /* " */ t ( /* $$ */ a ) ; create index j on t(b);`,
      `drop /* a */ index -- b
 i;`,
    ],
    entries: ['j'],
  },
  'one line': {
    files: [
      `${T}create index i on t(a);create index j on t(b);drop index i;alter index j rename to i;create index j on t(c)`,
    ],
    entries: ['i', 'j'],
  },
  'set not in order': {
    files: [
      `create schema s; set search_path = s; ${T} create index i on t (a);`,
      `create table public.t (a int); create index i on public.t (a); alter index i rename to k;`,
    ],
    entries: ['i', 'k'],
  },
  'primary key using index': {
    files: [
      `${T} create unique index i on t (a); alter table t add primary key using index i;`,
      `alter table t drop constraint i;`,
    ],
    entries: [],
  },
  'drop primary key named': {
    files: [
      `create table t (a int primary key, b int); create index i on t (b);`,
      `alter table t drop constraint t_pkey;`,
    ],
    entries: ['i'],
  },
  'rename table then auto name': {
    files: [`${T} alter table t rename to u; create index on u (a); create index on u (a);`],
    entries: ['u_a_idx', 'u_a_idx1'],
  },
  'create table as': {
    files: [
      `${T} create table u as select a, b from t; create index i on u (a); alter table u rename column a to z; alter table u drop column b;`,
    ],
    entries: ['i'],
  },
  'select into': {
    files: [`${T} select a, b into u from t; create index i on u (a);`, `drop table u;`],
    entries: [],
  },
  'swap tables': {
    files: [
      `${T} create index i on t (a); create table n (like t); create index i_new on n (a);`,
      `alter table t rename to o; alter table n rename to t; drop table o; alter index i_new rename to i;`,
    ],
    entries: ['i'],
  },
  'unlogged, temp': {
    files: [
      `create temp table x (a int); create index i on x (a); create unlogged table y (a int); create index j on y (a);`,
    ],
    entries: ['j'],
    reported: ['i'],
  },
  'temp shadows': {
    files: [`${T} create index i on t (a); create temp table t (a int); create index j on t (a);`],
    entries: ['i'],
    reported: ['j'],
  },
  'drop several': {
    files: [
      `${T} create index i on t (a); create index j on t (b); create index k on t (c);`,
      `drop index i, public.j;`,
    ],
    entries: ['k'],
  },
  'drop constraint cascade': {
    files: [
      `create table u (id int primary key); create table t (a int references u); create index i on t (a);`,
      `alter table u drop constraint u_pkey cascade;`,
    ],
    entries: ['i'],
  },
  'alter index only': {
    files: [`${T} create index i on t (a); alter table i rename to j;`],
    entries: ['j'],
  },
  'alter table if exists': {
    files: [
      `${T} create index i on t (a); alter table if exists nope rename to x; alter table if exists t rename to u;`,
    ],
    entries: ['i'],
  },
  'reindex swap': {
    files: [`${T} create index concurrently_i on t (a);`],
    entries: ['concurrently_i'],
  },
  'drop owned': {
    files: [
      `${T} create index i on t (a);`,
      `create role import_owner; grant create on schema public to import_owner; set role import_owner; create table w (a int); create index j on w (a); drop owned by import_owner; reset role; drop owned by import_owner; drop role import_owner;`,
    ],
    entries: [],
    reported: ['i', 'j'],
  },
  'rename constraint index': {
    files: [
      `create table t (a int constraint k unique, b int); create index i on t (b); alter index k rename to kk; alter table t drop constraint kk;`,
    ],
    entries: ['i'],
  },
  'dup table in other schema': {
    files: [
      `create schema s; ${T} create index i on t (a); create table s.t (a int); create index i on s.t (a);`,
      `drop index s.i;`,
    ],
    entries: ['i'],
  },
  'set local': {
    files: [
      `create schema s; ${T} create table s.t (a int);`,
      `begin; set local search_path = s; create index k on t (a); commit; create index k on t (a);`,
    ],
    entries: ['k', 'k'],
  },
  'reset search path': {
    files: [
      `create schema s; ${T} create table s.t (a int);`,
      `set search_path = s; create index k on t (a); reset search_path; create index k on t (a);`,
    ],
    entries: ['k', 'k'],
  },
  rollback: {
    files: [`${T}`, `begin; create index i on t (a); rollback; create index i on t (b);`],
    entries: ['i'],
  },
  savepoint: {
    files: [
      `${T}`,
      `begin; savepoint x; create index i on t (a); rollback to x; create index i on t (b); commit;`,
    ],
    entries: ['i'],
  },
  'add column unique then drop': {
    files: [
      `${T} alter table t add column e int unique; create index i on t (e, a);`,
      `alter table t drop column e;`,
    ],
    entries: [],
  },
  'drop column in include/where/expr': {
    files: [
      `${T} create index i on t (a) include (c); create index j on t (a) where c > 0; create index k on t ((c + 1)); create index l on t (a);`,
      `alter table t drop column c;`,
    ],
    entries: ['l'],
  },
  'whole row': {
    files: [
      `${T} create index i on t ((t is not null)); create index j on t (a) where t is not null;`,
      `alter table t rename to u;`,
    ],
    entries: [],
    reported: ['i', 'j'],
  },
  'rename table with table ref': {
    files: [`${T} create index i on t (a) where t.c > 0;`, `alter table t rename to u;`],
    entries: [],
    reported: ['i'],
  },
  'drop via table qualified': {
    files: [
      `${T} create index i on t (a) where t.c > 0; create index j on t ((t.c + 1));`,
      `alter table t drop column c;`,
    ],
    entries: [],
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
