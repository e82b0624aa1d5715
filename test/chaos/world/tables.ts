/*
 * The database that each round begins with. Nobody writes to the tables of STATIC_TABLES. The writers change the others,
 * and keep the invariants of checks/rows.ts.
 */

/** Columns of the tables whose rows must not change. Columns that a migration or the chaos adds are not listed. */
export const STATIC_TABLES: Readonly<Record<string, readonly string[]>> = {
  items: ['id', 'code', 'kind', 'price', 'payload', 'tags', 'note'],
  orders: ['id', 'item_id', 'status', 'total', 'placed_at'],
  people: ['id', 'email', 'name', 'area', 'share'],
  'shop.sales': ['id', 'region', 'amount'],
  visits: ['id', 'page', 'visitor'],
  '"Mixed Case"': ['id', '"The Name"'],
};

/** Numbers of the writers. Each has a row in `counters`. */
export const WRITERS = [1, 2, 3] as const;

/** Rows of `accounts`. */
export const ACCOUNTS = 4000;

/** Values of events.day from here on belong to partitions that the chaos creates and drops. No writer uses them. */
export const EXTRA_DAYS_FROM = 1000;

export const TABLES = `
  create schema shop;
  create schema chaos_checks;
  create extension amcheck schema chaos_checks;

  -- About a second for the rows of one table, so that a build can be hit in the middle of its scan.
  create function chaos_slow(n int) returns int language plpgsql immutable as $$
    declare x int := n;
    begin
      for i in 1..1500 loop x := (x * 31 + i) % 1000003; end loop;
      return x;
    end $$;

  create table tenants (id bigint generated always as identity primary key, slug text not null);
  insert into tenants (slug) values ('first'), ('second');
  create table audit_logs (
    id bigint generated always as identity primary key, tenant_id bigint not null, actor text, action text,
    at timestamptz not null default now());

  create table accounts (id int primary key, owner text not null, balance bigint not null, note text);
  insert into accounts select n, 'owner ' || n % 700, 1000, md5(n::text) from generate_series(1, ${ACCOUNTS}) n;
  create table counters (writer int primary key, events bigint not null);
  insert into counters values ${WRITERS.map((writer) => `(${writer}, 0)`).join(', ')};

  create table events (
    id bigint generated always as identity, day int not null, writer int not null, kind text not null, value int not null
  ) partition by range (day);
  create table events_old partition of events for values from (0) to (100);
  create table events_mid partition of events for values from (100) to (200) partition by hash (writer);
  create table events_mid_0 partition of events_mid for values with (modulus 2, remainder 0);
  create table events_mid_1 partition of events_mid for values with (modulus 2, remainder 1);
  create table events_new partition of events for values from (200) to (300) partition by list (kind);
  create table events_new_a partition of events_new for values in ('a', 'b') partition by range (value);
  create table events_new_a_low partition of events_new_a for values from (minvalue) to (500);
  create table events_new_a_high partition of events_new_a for values from (500) to (maxvalue);
  create table events_new_rest partition of events_new default;
  insert into events (day, writer, kind, value)
    select n % 300, 0, chr(97 + n % 4), n % 1000 from generate_series(1, 9000) n;

  create table items (
    id int primary key, code text not null, kind text not null, price numeric(10, 2) not null, payload jsonb not null,
    tags text[] not null, note text);
  insert into items
    select n, 'Code-' || n, chr(97 + n % 7), (n * 37 % 10000) / 100.0, jsonb_build_object('k', n % 50, 'n', n),
           array['t' || n % 20, 't' || n % 33], repeat(md5(n::text), 2)
      from generate_series(1, 8000) n;
  create table orders (
    id int primary key, item_id int not null references items (id), status text not null, total numeric(12, 2) not null,
    placed_at timestamptz not null);
  insert into orders
    select n, 1 + n % 8000, (array['open', 'paid', 'sent'])[1 + n % 3], n * 91 % 100000 / 100.0,
           timestamptz '2026-01-01' + n * interval '1 minute'
      from generate_series(1, 10000) n;
  create table people (id int primary key, email text not null, name text not null, area box not null, share int not null);
  insert into people
    select n, 'person' || least(n, 2999) || '@example.com', 'Name ' || n, box(point(n % 100, n % 77), point(n % 100 + 2, n % 77 + 2)),
           n % 1000
      from generate_series(1, 3000) n;
  create table shop.sales (id int primary key, region text not null, amount int not null);
  insert into shop.sales select n, 'region ' || n % 12, n from generate_series(1, 3000) n;
  create table visits (id int primary key, page text not null, visitor int not null);
  insert into visits select n, '/page/' || n % 200, n % 900 from generate_series(1, 6000) n;
  create table "Mixed Case" (id int primary key, "The Name" text not null);
  insert into "Mixed Case" select n, 'n' || n from generate_series(1, 1000) n;
  create materialized view item_totals as
    select item_id, count(*) as orders, sum(total) as total from orders group by item_id;

  -- Indexes that the registry does not contain. They must stay as they are.
  create index by_hand_items_note on items (note);
  comment on index by_hand_items_note is 'made by hand';
  create index by_hand_orders on orders (status, total) with (fillfactor = 80);
  create index by_hand_people on people ((lower(name)));
  alter index by_hand_people alter column 1 set statistics 500;
  create unique index by_hand_visits on visits (id, page);
  alter table visits replica identity using index by_hand_visits;
  cluster orders using by_hand_orders;
  create unique index by_hand_item_totals on item_totals (item_id);
  create index by_hand_events on events (value, writer);
  alter table accounts add constraint accounts_owner_id unique (owner, id);
`;

/** What an earlier time left: drifted, equivalent, present and invalid indexes with names of the registry. */
export const EARLIER_INDEXES: readonly string[] = [
  // Another definition than in the registry.
  'create index chaos_items_code on items (kind, code)',
  "comment on index chaos_items_code is 'used by the search page'",
  'create index chaos_items_kind on items (kind desc)',
  'create index chaos_items_upper on items ((upper(note)), id)',
  'alter index chaos_items_upper alter column 1 set statistics 300',
  'create unique index chaos_people_identity on people (id, email)',
  'alter table people replica identity using index chaos_people_identity',
  'create index chaos_visits_cluster on visits (page desc) with (fillfactor = 85)',
  'alter table visits cluster on chaos_visits_cluster',
  'create unique index chaos_sales_pair on shop.sales (id, amount)',
  `create table shop.refunds (
     id int primary key, sale int, amount int, foreign key (sale, amount) references shop.sales (id, amount))`,
  // The registry's definition under another name.
  'create index items_price_of_earlier on items (price) include (kind)',
  // As in the registry.
  'create index chaos_orders_item on orders (item_id)',
  "comment on index chaos_orders_item is 'needed by the foreign key'",
  'create index chaos_visits_page on visits (page)',
  'create index chaos_events_kind on events (kind)',
  'create unique index chaos_sales_amount on shop.sales (amount)',
];

/** Each of these statements fails and leaves an invalid index. */
export const FAILING_BUILDS: readonly string[] = [
  'create unique index concurrently chaos_orders_status on orders (status)',
  'create unique index concurrently chaos_accounts_note on accounts (left(note, 1))',
];

export const ANALYZE = 'vacuum analyze';
