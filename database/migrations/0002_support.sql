create table projects (
  id bigint generated always as identity primary key,
  -- pg-deploy-step: allow foreign-key-without-index a tenant has few projects, and tenants are never deleted
  tenant_id bigint not null references tenants (id),
  name text not null,
  created_at timestamptz not null default now()
);

create table customers (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  project_id bigint not null references projects (id),
  name text not null,
  status text not null default 'trial' check (status in ('trial', 'active', 'past_due', 'churned')),
  monthly_amount numeric(10, 2) not null default 0,
  health_score smallint,
  created_at timestamptz not null default now()
);

create table tickets (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  -- pg-deploy-step: allow foreign-key-without-index tickets are listed by tenant, and customers are never deleted
  customer_id bigint not null references customers (id),
  subject text not null,
  status text not null default 'open' check (status in ('open', 'waiting', 'solved', 'closed')),
  created_at timestamptz not null default now()
);

create table messages (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  ticket_id bigint not null references tickets (id),
  author text not null check (author in ('customer', 'agent')),
  body text not null,
  created_at timestamptz not null default now()
);
