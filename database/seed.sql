-- Inserts the demo's rows. It needs the schema before the last two migrations, and must run as one transaction. Every run
-- inserts the same rows: the dates are fixed and the random numbers have a seed. The distribution is uneven, as in a real
-- system: tenant 1 owns 30 % of the deals, and tenants with smaller numbers have more rows.
select setseed(0.42);

-- Drops the foreign keys and adds them again at the end, because checking each row takes three times as long as the
-- inserts. The owner of the tables can do this. The alternative, session_replication_role, requires a superuser.
create temporary table seeded_foreign_keys as
select conrelid::regclass::text as table_name, conname as name, pg_get_constraintdef(oid) as definition
from pg_constraint
where contype = 'f'
  and conrelid in (
    'users'::regclass, 'companies'::regclass, 'projects'::regclass, 'customers'::regclass, 'tickets'::regclass,
    'messages'::regclass, 'files'::regclass, 'integration_credentials'::regclass, 'audit_logs'::regclass,
    'tenant_usage_metrics'::regclass, 'deals'::regclass, 'leads'::regclass, 'call_log'::regclass
  );

do $$
declare
  foreign_key record;
begin
  for foreign_key in select * from seeded_foreign_keys loop
    execute format('alter table %s drop constraint %I', foreign_key.table_name, foreign_key.name);
  end loop;
end
$$;

-- An interrupted run leaves no rows, but the sequences keep the numbers that it used. The rows refer to ids from 1.
do $$
declare
  identity_column record;
begin
  for identity_column in
    select attrelid::regclass::text as table_name, attname as name
    from pg_attribute
    where attidentity <> ''
      and attrelid in (select 'tenants'::regclass union select table_name::regclass from seeded_foreign_keys)
  loop
    execute format('alter table %s alter column %I restart', identity_column.table_name, identity_column.name);
  end loop;
end
$$;

insert into tenants (slug, name, plan, created_at)
select
  'tenant-' || n,
  case when n = 1 then 'Northwind Group' else 'Tenant ' || n end,
  case when n <= 10 then 'enterprise' when n <= 80 then 'team' else 'free' end,
  timestamptz '2023-06-01 00:00:00+00' + n * interval '1 day'
from generate_series(1, 200) as n;

insert into users (tenant_id, email, full_name, role, password_hash, created_at)
select
  tenants.id,
  'User' || n || '@' || tenants.slug || '.example',
  (array['Ada', 'Ben', 'Chloe', 'Dmitri', 'Elif', 'Farid', 'Grace', 'Hugo', 'Ines', 'Jun'])[1 + (n * 7 + tenants.id) % 10]
    || ' '
    || (array['Adler', 'Brandt', 'Costa', 'Dubois', 'Eriksen', 'Fischer', 'Garcia', 'Horvat', 'Ito'])[1 + (n / 10 + tenants.id) % 9],
  case when n = 1 then 'owner' when n <= 3 then 'admin' else 'member' end,
  md5('password' || tenants.id || '/' || n),
  tenants.created_at + n * interval '1 hour'
from tenants, generate_series(1, case when tenants.id = 1 then 120 else 20 end) as n
order by tenants.id, n;

insert into companies (tenant_id, name, industry, created_at)
select
  tenants.id,
  'Company ' || tenants.id || '-' || n,
  (array['retail', 'software', 'health', 'logistics', 'energy'])[1 + n % 5],
  tenants.created_at + n * interval '1 minute'
from tenants, generate_series(1, case when tenants.id = 1 then 5000 else 60 end) as n
order by tenants.id, n;

insert into projects (tenant_id, name, created_at)
select tenants.id, 'Project ' || n, tenants.created_at
from tenants, generate_series(1, 3) as n
order by tenants.id, n;

insert into customers (tenant_id, project_id, name, status, monthly_amount, health_score, created_at)
select
  picked.tenant_id,
  (picked.tenant_id - 1) * 3 + 1 + n % 3,
  'Customer ' || n,
  (array['active', 'active', 'active', 'active', 'active', 'trial', 'churned', 'churned', 'past_due', 'active'])[1 + floor(random() * 10)::int],
  round((random() * 400)::numeric, 2),
  floor(random() * 101),
  timestamptz '2024-01-01 00:00:00+00' + random() * interval '730 days'
from (
  select n, 1 + floor(200 * power(random(), 2))::bigint as tenant_id
  from generate_series(1, 30000) as n
) as picked;

insert into tickets (tenant_id, customer_id, subject, status, created_at)
select
  customers.tenant_id,
  customers.id,
  'Question ' || n || ' of ' || customers.name,
  (array['open', 'waiting', 'solved', 'closed', 'closed', 'closed', 'closed', 'closed'])[1 + floor(random() * 8)::int],
  customers.created_at + n * interval '1 day'
from customers, generate_series(1, 2) as n;

insert into messages (tenant_id, ticket_id, author, body, created_at)
select
  tickets.tenant_id,
  tickets.id,
  case when n % 2 = 1 then 'customer' else 'agent' end,
  'Message ' || n || ' on ' || tickets.subject,
  tickets.created_at + n * interval '1 hour'
from tickets, generate_series(1, 2) as n;

insert into files (tenant_id, name, size_bytes, created_at)
select
  1 + floor(200 * power(random(), 2))::bigint,
  'attachment-' || n || '.pdf',
  floor(random() * 5000000)::bigint,
  timestamptz '2024-01-01 00:00:00+00' + random() * interval '730 days'
from generate_series(1, 20000) as n;

insert into integration_credentials (tenant_id, provider, encrypted_secret, created_at)
select
  tenants.id,
  provider,
  decode(repeat(md5(tenants.slug || provider || n), 12), 'hex'),
  tenants.created_at + n * interval '1 day'
from tenants, unnest(array['slack', 'stripe', 'salesforce', 'zendesk']) as provider, generate_series(1, 3) as n;

insert into audit_logs (tenant_id, actor, action, created_at)
select
  1 + floor(200 * power(random(), 2))::bigint,
  'user ' || floor(random() * 4000)::int,
  (array['sign-in', 'export', 'update', 'delete', 'invite'])[1 + floor(random() * 5)::int],
  timestamptz '2025-10-01 00:00:00+00' + n * interval '100 seconds'
from generate_series(1, 80000) as n;

insert into tenant_usage_metrics (tenant_id, day, metric, amount)
select tenants.id, date '2025-10-01' + n, metric, floor(random() * 10000)::bigint
from generate_series(0, 91) as n, tenants, unnest(array['api_calls', 'storage_mb']) as metric;

-- A deal's company and representative belong to its tenant, whose ids are contiguous. One user in five is a representative.
insert into deals (tenant_id, company_id, assigned_to, title, status, amount, created_at)
select
  picked.tenant_id,
  companies.first_id + floor(random() * companies.amount)::bigint,
  users.first_id + floor(random() * users.amount / 5)::bigint,
  'Deal ' || n,
  case when picked.luck < 0.35 then 'won' when picked.luck < 0.8 then 'lost' else 'open' end,
  round((100 + random() * 50000)::numeric, 2),
  timestamptz '2024-01-01 00:00:00+00' + n * (interval '730 days' / 420000)
from (
  select
    n,
    case when random() < 0.3 then 1 else 2 + floor(199 * power(random(), 2))::bigint end as tenant_id,
    random() as luck
  from generate_series(1, 420000) as n
) as picked
join (select tenant_id, min(id) as first_id, count(*) as amount from companies group by tenant_id) as companies
  using (tenant_id)
join (select tenant_id, min(id) as first_id, count(*) as amount from users group by tenant_id) as users
  using (tenant_id);

insert into leads (tenant_id, full_name, phone, created_at)
select
  1 + floor(200 * power(random(), 2))::bigint,
  'Lead ' || n,
  '+1555' || lpad(n::text, 7, '0'),
  timestamptz '2023-12-01 00:00:00+00' + random() * interval '30 days'
from generate_series(1, 30000) as n;

-- One call in four is from a number that belongs to no lead.
insert into call_log (tenant_id, lead_id, direction, duration_seconds, created_at)
select
  coalesce(leads.tenant_id, 1 + n % 200),
  leads.id,
  case when random() < 0.2 then 'inbound' else 'outbound' end,
  floor(random() * 900)::int,
  timestamptz '2024-01-01 00:00:00+00' + n * (interval '730 days' / 90000)
from (
  select n, case when random() < 0.75 then 1 + floor(random() * 30000)::bigint end as lead_id
  from generate_series(1, 90000) as n
) as calls
left join leads on leads.id = calls.lead_id;

do $$
declare
  foreign_key record;
begin
  for foreign_key in select * from seeded_foreign_keys order by table_name, name loop
    execute format(
      'alter table %s add constraint %I %s', foreign_key.table_name, foreign_key.name, foreign_key.definition
    );
  end loop;
end
$$;

drop table seeded_foreign_keys;

analyze tenants, users, companies, projects, customers, tickets, messages, files, integration_credentials, audit_logs,
  tenant_usage_metrics, deals, leads, call_log;
