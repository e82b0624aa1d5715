create table files (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  name text not null,
  size_bytes bigint not null check (size_bytes >= 0),
  created_at timestamptz not null default now()
);

create table integration_credentials (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  provider text not null,
  encrypted_secret bytea not null,
  created_at timestamptz not null default now()
);

create table audit_logs (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  actor text not null,
  action text not null,
  created_at timestamptz not null default now()
);

create table tenant_usage_metrics (
  id bigint generated always as identity primary key,
  tenant_id bigint not null references tenants (id),
  day date not null,
  metric text not null,
  amount bigint not null
);
