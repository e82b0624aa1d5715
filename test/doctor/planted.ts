/*
 * A database with one ailment of each kind that can be planted with SQL, each next to something healthy that looks like it. `ROWS` is
 * large enough for every limit of the doctor.
 */

/** Tables, rows, and the indexes that a transaction can create. */
export const PLANTED = `
  create table tenants (id int primary key, name text not null unique);
  create table people (
    id int primary key,
    tenant_id int not null references tenants,
    email text not null,
    name text not null,
    "Nick" text
  );
  -- Healthy: the tenant comes first. Duplicate: the same definition twice. Redundant: a prefix.
  create index people_tenant_email on people (tenant_id, email);
  create index people_tenant_email_again on people (tenant_id, email);
  create index people_tenant on people (tenant_id);
  -- Healthy: another order, another predicate, another operator class, another collation, unique, an expression.
  create index people_email on people (email);
  create unique index people_email_unique on people (email, id);
  create index people_email_named on people (email) where name <> '';
  create index people_email_pattern on people (email text_pattern_ops, name);
  create index people_email_c on people (email collate "C", id);
  create index people_email_lower on people (lower(email));

  -- A foreign key without an index, on (author), and one with it, on (tenant_id, person).
  create table letters (
    id int primary key,
    tenant_id int not null,
    person int not null references people,
    author int not null references people,
    body text
  );
  create index letters_tenant_person on letters (tenant_id, person);

  -- A tenant table without an index for the tenant.
  create table notes (id int primary key, tenant_id int not null, body text);

  -- A partitioned table, whose indexes count once, and one of which waits for its partitions.
  create table events (id int not null, tenant_id int not null, at date not null, kind text, primary key (id, at))
    partition by range (at);
  create table events_1 partition of events for values from ('2024-01-01') to ('2025-01-01');
  create table events_2 partition of events for values from ('2025-01-01') to ('2026-01-01');
  create index events_tenant on events (tenant_id, at);
  create index events_waiting on only events (kind, at);

  -- A table that is read whole again and again.
  create table visits (id int primary key, page text not null);

  -- A bloated index, after most of its rows are deleted.
  create table queue (id int primary key, job int not null);
  create index queue_job on queue (job);

  -- Duplicate values, so that a unique index cannot be built.
  create table twice (id int primary key, code int not null);

  create table deploy_logs (id int primary key, line text);
  create index deploy_logs_line on deploy_logs (line);
  create index deploy_logs_line_id on deploy_logs (line, id);
  create index deploy_logs_id_line on deploy_logs (id, line);

  insert into tenants select n, 'tenant ' || n from generate_series(1, 20) n;
  insert into people select n, 1 + n % 20, 'p' || n || '@example.com', 'Person ' || n from generate_series(1, 20000) n;
  insert into letters select n, 1 + n % 20, 1 + n % 20000, 1 + n % 20000, 'text' from generate_series(1, 20000) n;
  insert into notes select n, 1 + n % 20, 'text' from generate_series(1, 20000) n;
  insert into events select n, 1 + n % 20, date '2024-01-01' + n % 700, 'a' from generate_series(1, 20000) n;
  insert into visits select n, 'page ' || n % 50 from generate_series(1, 20000) n;
  insert into queue select n, n from generate_series(1, 200000) n;
  insert into twice select n, n / 2 from generate_series(1, 20000) n;
  insert into deploy_logs select n, 'line ' || n from generate_series(1, 2000) n;
  delete from queue where id > 20000`;

/** Statements that cannot run in a transaction, or need one of their own. */
export const PLANTED_ALONE = [
  'vacuum analyze',
  `do $$ begin for n in 1..60 loop perform count(*) from visits where page = 'page 7'; end loop; end $$`,
];

/** The registry of the planted database. The first entry is missing, the second one has another definition. */
export const REGISTRY = [
  {
    name: 'people_name',
    sql: 'create index concurrently if not exists people_name on people (tenant_id, name)',
    description: 'people by name',
  },
  {
    name: 'deploy_logs_line',
    sql: 'create index concurrently if not exists deploy_logs_line on deploy_logs (line desc nulls last)',
    description: 'lines',
  },
  {
    // Equivalent: the database has it under another name.
    name: 'letters_by_person',
    sql: 'create index concurrently if not exists letters_by_person on letters (tenant_id, person)',
    description: 'letters by person',
  },
  {
    // Its table does not exist yet.
    name: 'invoices_tenant',
    sql: 'create index concurrently if not exists invoices_tenant on invoices (tenant_id)',
    description: 'invoices',
  },
  ...[
    ['people_tenant_email', 'people (tenant_id, email)'],
    ['people_tenant_email_again', 'people (tenant_id, email)'],
    ['people_tenant', 'people (tenant_id)'],
    ['people_email_unique', 'people (email, id)', 'unique '],
    ['people_email_named', "people (email) where name <> ''"],
    ['people_email_pattern', 'people (email text_pattern_ops, name)'],
    ['people_email_c', 'people (email collate "C", id)'],
    ['people_email_lower', 'people (lower(email))'],
    ['events_tenant', 'events (tenant_id, at)'],
    ['queue_job', 'queue (job)'],
    ['deploy_logs_line_id', 'deploy_logs (line, id)'],
    ['deploy_logs_id_line', 'deploy_logs (id, line)'],
  ].map(([name = '', on, unique = '']) => ({
    name,
    sql: `create ${unique}index concurrently if not exists ${name} on ${on}`,
    ...(unique !== '' && { critical: true }),
    description: name,
    serves: ['a_query'],
  })),
];
