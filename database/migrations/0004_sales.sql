create table companies (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  name text not null,
  industry text not null,
  created_at timestamptz not null default now()
);

create table deals (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  -- pg-deploy-step: allow foreign-key-without-index queries join from deals to companies, and companies are never deleted
  company_id bigint not null references companies (id),
  -- pg-deploy-step: allow foreign-key-without-index queries filter by tenant and status first, and users are never deleted
  assigned_to bigint not null references users (id),
  title text not null,
  status text not null default 'open' check (status in ('open', 'won', 'lost')),
  amount numeric(12, 2) not null,
  created_at timestamptz not null default now()
);
